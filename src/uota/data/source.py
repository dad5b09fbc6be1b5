"""What the rest of the package asks of a source of images, and the source that holds them in one tensor."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from uota.console import printable, some_of
from uota.errors import UotaError

logger = logging.getLogger(__name__)

Split = Literal["train", "test"]
# A larger share of images that cannot be read is more than a few damaged files.
MANY_UNREADABLE = 0.05


@runtime_checkable
class Source(Protocol):
    """Images by index. Whatever has these members is a source; there is nothing to inherit from.

    Attributes:
        name: what it was opened by; `demo`, `demo-scenes`, `demo-scenes-colour`, `fashion-mnist` or the folder's path.
        channels: 1 or 3, the same for all images.
        labels: (len,) int64, -1 for an image without a label; None where nobody labelled any.
        classes: names of the labels, or None.
        skipped: files that could not be read so far; grows while images are read.
    """

    name: str
    channels: int
    labels: Int64[Tensor, " len"] | None
    classes: list[str] | None

    @property
    def skipped(self) -> list[Path]:
        """Files that could not be read so far."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images, decoded. They may be views of the source's memory: do not write to them."""
        ...

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """True where a crop (top, left, height, width in pixels) is known to be an outlier; None: nothing is known."""
        ...


class TensorSource:
    """A source of images of one size, kept in one tensor."""

    def __init__(
        self,
        name: str,
        pixels: UInt8[Tensor, "len channels height width"],
        labels: Int64[Tensor, " len"] | None = None,
        classes: list[str] | None = None,
    ) -> None:
        """Keep the tensors; nothing is copied."""
        self.name, self.pixels, self.labels, self.classes = name, pixels, labels, classes
        self.channels = pixels.shape[1]

    @property
    def skipped(self) -> list[Path]:
        """None: these images were read already."""
        return []

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pixels)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels height width"]]:
        """These images; a copy."""
        return list(self.pixels[torch.as_tensor(list(indices), dtype=torch.int64)])

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """None: nothing is known of crops of these images."""
        return None


def labels_of(source: Source) -> Int64[Tensor, " len"]:
    """The labels of a source, for what cannot do without; -1 where an image has none.

    Raises:
        UotaError: no image has any.
    """
    if source.labels is None or not bool((source.labels >= 0).any()):
        raise UotaError(
            f"{source.name} has no labels: give a folder with one sub-folder per class, shards with a number in each "
            "sample's .cls, or a saved data set with a column of labels"
        )
    return source.labels


def describe_skipped(source: Source, at_most: int = 5, rest: str = "") -> str | None:
    """One sentence for a person about the files that could not be read; None when there are none.

    Args:
        source: of the images.
        at_most: so many are named.
        rest: where the others are.
    """
    skipped = source.skipped
    if not skipped:
        return None
    reasons = getattr(source, "reasons", {})
    named = some_of([_with_reason(path, reasons) for path in skipped], at_most, rest)
    return f"{len(skipped)} file(s) of {printable(source.name)} could not be read and were skipped: {named}"


def _with_reason(path: Path, reasons: dict[Path, str]) -> str:
    return f"{printable(path)} ({reasons[path]})" if path in reasons else printable(path)


def warn_many_unreadable(source: Source, unreadable: int, tried: int) -> bool:
    """Say loudly that many images cannot be read, on stderr; returns whether they are that many."""
    many = unreadable > MANY_UNREADABLE * tried
    if many:
        share = f"{unreadable} of {tried} images ({100 * unreadable / tried:.0f} %) of {printable(source.name)}"
        logger.warning(f"{share} cannot be read; {describe_skipped(source)}")
    return many


def warn_skipped(*sources: Source) -> None:
    """Print which files could not be read, if there are any."""
    for source in sources:
        if skipped := describe_skipped(source):
            logger.info(skipped)
