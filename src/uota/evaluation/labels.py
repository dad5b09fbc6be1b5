"""The images of an evaluation: the labelled ones, or a random subset with the same number of each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from uota.console import printable
from uota.data import Source, labels_of
from uota.errors import UotaError

SHOWN = 5  # labels named in a message


def labelled_part(source: Source) -> Source:
    """Return the images that have a label (-1: none), or the source itself if all have one.

    Raises:
        UotaError: no image has a label.
    """
    known = labels_of(source) >= 0
    return source if bool(known.all()) else Part(source, torch.nonzero(known)[:, 0])


def evaluated_images(train: Source, test: Source) -> tuple[Source, Source, list[str]]:
    """Return the labelled images of both splits, with renumbered labels.

    The training classes are numbered from 0, followed by those that occur only in the test images. So a classifier has
    one output for each training class, and images of other classes count as misses.

    Returns:
        Training images, test images, and notes on anything unexpected.

    Raises:
        UotaError: a split has no labels, or training has only one class.
    """
    notes = []
    parts = []
    for split, source in (("training", train), ("test", test)):
        part = labelled_part(source)
        parts.append(part)
        if len(part) < len(source):
            left_out = len(source) - len(part)
            notes.append(f"{left_out} of {len(source)} {split} images of {source.name} have no label and are left out")
    known, asked = (labels_of(part) for part in parts)
    trained = known.unique()
    if len(trained) < 2:
        raise UotaError(f"all training images of {train.name} have the same label; give two classes or more")
    unseen = ~torch.isin(asked, trained)
    if bool(unseen.any()):
        notes.append(
            f"{int(unseen.sum())} test images of {test.name} have labels that no training image has "
            f"({_named(asked[unseen].unique(), test)}); they count as misses"
        )
    order = torch.cat([trained, asked[unseen].unique()])
    return _renumbered(parts[0], order), _renumbered(parts[1], order), notes


def _named(labels: Int64[Tensor, " labels"], source: Source) -> str:
    classes = source.classes or []
    names = [classes[label] if label < len(classes) else str(label) for label in labels[:SHOWN].tolist()]
    return ", ".join(map(printable, names)) + (" …" if len(labels) > SHOWN else "")


def _renumbered(source: Source, order: Int64[Tensor, " labels"]) -> Source:
    """Replace each label by its index in `order`; if nothing changes, return the source itself."""
    values, by_value = order.sort()
    labels = by_value[torch.searchsorted(values, labels_of(source))]
    if torch.equal(labels, labels_of(source)):
        return source
    classes = source.classes
    named = None if classes is None else [classes[label] if label < len(classes) else "" for label in order.tolist()]
    part = Part(source, torch.arange(len(source)))
    part.labels, part.classes = labels, named
    return part


def balanced_share(labels: Int64[Tensor, " images"], share: float, seed: int) -> Int64[Tensor, " chosen"]:
    """Choose the same number of images of each class at random, and return their ascending indices.

    That number is the share of a class of average size, but at least one; smaller classes contribute all their images.
    With the same seed, a larger share contains all images of a smaller one.
    """
    members = [torch.nonzero(labels == label)[:, 0].numpy() for label in labels.unique()]
    count = max(1, round(share * len(labels) / len(members)))
    if share >= 1:
        return torch.arange(len(labels))
    random = np.random.default_rng(seed)
    chosen = [random.permutation(of_class)[:count] for of_class in members]
    return torch.from_numpy(np.sort(np.concatenate(chosen)))


class Part(Source):
    """A source of some of the images of another source."""

    def __init__(self, whole: Source, index: Int64[Tensor, " chosen"]) -> None:
        self.whole, self.index = whole, index
        self.name, self.channels, self.classes = whole.name, whole.channels, whole.classes
        self.in_memory, self.pixel_range, self.reasons = whole.in_memory, whole.pixel_range, whole.reasons
        self.labels = None if whole.labels is None else whole.labels[index]

    @property
    def skipped(self) -> list[Path]:
        """Files of the whole source that could not be read so far."""
        return self.whole.skipped

    def __len__(self) -> int:
        return len(self.index)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """Return images of the part by their indices in it."""
        return self.whole.images(self.index[torch.as_tensor(list(indices), dtype=torch.int64)].tolist())

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """Return the whole source's ground truth for crops of these images."""
        return self.whole.truth(self.index[index], boxes)

    def path(self, index: int) -> Path | None:
        """Path of an image in the whole source."""
        return self.whole.path(int(self.index[index]))

    def display_name(self, index: int) -> str:
        """Name of an image in the whole source."""
        return self.whole.display_name(int(self.index[index]))

    def unreadable(self, images: Int64[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """True for images that the whole source knows to be unreadable."""
        return self.whole.unreadable(self.index[images])

    def unreadable_counts(self) -> tuple[int, int]:
        """Counts of the whole source."""
        return self.whole.unreadable_counts()
