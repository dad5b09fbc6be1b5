"""What the rest of the package asks of a source of images, with defaults for most of it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from uota.data.files.pixels import PixelRange
from uota.errors import UotaError

# All images of a source are those of both splits and any in neither, each once.
Split = Literal["train", "test", "all"]
Unit = Literal["image", "group"]


@runtime_checkable
class MinimalSource(Protocol):
    """The six members that every source of images must have: these four attributes, `__len__` and `images`.

    A class of yours that has them can be given wherever uota takes a source; `as_source` supplies the other members.

    Attributes:
        name: what people know the images by: a name that `open_source` takes, or the folder's path.
        channels: 1 or 3, the same for all images.
        labels: (len,) int64, -1 for an image without a label; None if no image has a label.
        classes: names of the labels, or None.
    """

    name: str
    channels: int
    labels: Int64[Tensor, " len"] | None
    classes: list[str] | None

    def __len__(self) -> int:
        """Number of items: images, or groups of images."""
        ...

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images, decoded. They may be views of the source's memory: do not write to them."""
        ...


@runtime_checkable
class Source(MinimalSource, Protocol):
    """Images by index, and what is known about them.

    Everything that `MinimalSource` does not require has a default here. A class that has more to say inherits from
    `Source` and overrides what differs: ground truth, names of its images, images that cannot be read, and so on.

    Attributes:
        in_memory: the images are decoded already, so that worker processes would only slow their loading down.
        caches: images stay in memory once they have been read.
        unit: what one item is: an image, or a group of images of one thing.
        default_views: the preset of views for these images if the user chooses none; None: by hardware and channels.
        pixel_range: values of black and white in images of more than 8 bits; None if there are no such images.
        parts: number of images in each larger file, file by file; None if images are not packed in larger files.
        reasons: why files cannot be read, as far as opening found out.
        held_out: number of items that are kept for the other split, where the package itself divides them.
    """

    in_memory: bool = False
    caches: bool = False
    unit: Unit = "image"
    default_views: str | None = None
    pixel_range: PixelRange | None = None
    parts: Int64[np.ndarray, " parts"] | None = None
    reasons: Mapping[Path, str] = MappingProxyType({})
    held_out: int = 0

    @property
    def files(self) -> "Source":
        """The source of single images: itself, or for groups the source whose images are grouped."""
        return self

    @property
    def total(self) -> int:
        """Number of images that opening found, including other splits and unreadable ones."""
        return len(self)

    @property
    def skipped(self) -> list[Path]:
        """Files that could not be read so far; grows while images are read."""
        return []

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """True where a crop (top, left, height, width in pixels) is known to be an outlier; None: not known."""
        return None

    def path(self, index: int) -> Path | None:
        """Path of an image; None for images that are not files."""
        return None

    def display_name(self, index: int) -> str:
        """Name of an item for tables and pages."""
        return str(index)

    def belongs(
        self, images: Int64[Tensor, "views batch"], items: Int64[Tensor, " batch"]
    ) -> Bool[Tensor, "views batch"]:
        """True where an image is the item in its column, or one of the images of that group."""
        return images == items

    def unreadable(self, images: Int64[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """True for images, as indices in `files`, that are known to be unreadable: others are shown in their place."""
        return torch.zeros_like(images, dtype=torch.bool)

    def unreadable_counts(self) -> tuple[int, int]:
        """Number of images that could not be read since opening, and number of images tried."""
        return 0, 0

    def remarks(self, at_most: int = 5) -> list[str]:
        """Sentences on what opening left out or decided; a list of names is cut after `at_most`."""
        return []

    def at_full_size(self) -> "Source":
        """These images in their original sizes, if reading shrinks them; none are kept in memory, or itself."""
        return self

    def fingerprint_parts(self) -> Iterator[bytes]:
        """Bytes that tell these images and their order from those of another source; the images are not read."""
        yield f"{self.name} {len(self)}".encode()


def as_source(images: MinimalSource) -> Source:
    """The images as a `Source`: unchanged if they are one, else with its defaults.

    Raises:
        UotaError: they have some of the optional members, but not all.
    """
    if isinstance(images, Source):
        return images
    kind = type(images).__name__
    if own := [name for name in vars(Source) if not name.startswith("_") and hasattr(images, name)]:
        raise UotaError(
            f"{kind} has {', '.join(own)} but not all members of a source; "
            "let it inherit from uota.data.Source, which has defaults for the others"
        )
    return _Completed(images)


class _Completed(Source):
    """Images with the six required members, completed by the defaults."""

    def __init__(self, images: MinimalSource) -> None:
        self._images = images
        self.name, self.channels = images.name, images.channels
        self.labels, self.classes = images.labels, images.classes

    def __len__(self) -> int:
        return len(self._images)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        return self._images.images(indices)


def labels_of(source: Source) -> Int64[Tensor, " len"]:
    """The labels of a source, for callers that need some; -1 for an image without a label.

    Raises:
        UotaError: no image has a label.
    """
    if source.labels is None or not bool((source.labels >= 0).any()):
        raise UotaError(
            f"{source.name} has no labels; give a folder with one sub-folder per class, shards with a number in each "
            "sample's .cls, or a saved data set with a column of labels"
        )
    return source.labels
