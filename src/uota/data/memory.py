"""Sources of images in memory: one tensor, or a list or dataset of pictures."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from uota.data.files.decode import shrunk
from uota.data.files.left_out import LeftOut
from uota.data.files.pixel_range import describe_pixel_range, estimate_pixel_range, spread_indices
from uota.data.files.pixels import OVERSHOOT, UNIT_RANGE, PixelRange
from uota.data.files.splits import UNLABELLED
from uota.data.pictures import CHANNELS, KINDS, as_image, deep_pixels_of, is_one_picture, picture_of
from uota.data.source import Source
from uota.errors import UotaError
from uota.settings.pretrain import IMAGE_MEGABYTES
from uota.settings.ranges import check_pixel_range


class TensorSource(Source):
    """A source of images of one size, kept in one tensor."""

    in_memory = True

    def __init__(
        self,
        name: str,
        pixels: UInt8[Tensor, "len channels height width"],
        labels: Int64[Tensor, " len"] | None = None,
        classes: list[str] | None = None,
        default_views: str | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        """Keep the tensors; nothing is copied. Images without `names` are shown by their numbers."""
        self.name, self.pixels, self.labels, self.classes = name, pixels, labels, classes
        self.channels, self.default_views = pixels.shape[1], default_views
        self._names = names

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pixels)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels height width"]]:
        """Copies of these images."""
        return list(self.pixels[torch.as_tensor(list(indices), dtype=torch.int64)])

    def display_name(self, index: int) -> str:
        """Name of an image, or its number."""
        return self._names[index] if self._names else str(index)


class SequenceSource(Source):
    """A source of anything that has a length and yields pictures by index, with or without labels; three channels.

    A picture is a Pillow image, a path, an array (height, width[, channels]) or a tensor (channels, height, width) of
    any number type. It is read like a file in a folder: upright, on white where it is transparent, and with one range
    of black and white for all pictures of more than 8 bits. Labels are the dataset's `targets`, numbers or names, and
    their names its `classes`, if it has them.

    Attributes:
        left_out: labels that cannot be used.
    """

    name, channels = "images", CHANNELS

    def __init__(
        self,
        pictures: Any,
        max_side: int | None = None,
        pixel_range: PixelRange | None = None,
        image_megabytes: int = IMAGE_MEGABYTES,
    ) -> None:
        """Keep the pictures; they are read when asked for, and shrunk so that no side is longer than `max_side`.

        Files that take more than `image_megabytes` when decoded are not read.

        Raises:
            UotaError: they cannot be indexed by number, or floats among them are neither in [0, 1] nor in a given
                range.
        """
        if not hasattr(pictures, "__len__") or not hasattr(pictures, "__getitem__") or isinstance(pictures, dict):
            raise UotaError(f"images cannot be taken from a {type(pictures).__name__} by number; {KINDS}")
        if is_one_picture(pictures):
            raise UotaError(
                f"images is one picture of shape {tuple(pictures.shape)}, not a list; give [picture], or several"
            )
        self.pictures, self.max_side, self.left_out = pictures, max_side, LeftOut()
        self.image_megabytes = image_megabytes
        self.labels, self.classes = _labels_of(pictures, self.left_out)
        self.pixel_range = check_pixel_range(pixel_range) or self._estimated()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pictures)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """Return decoded images by their indices.

        Raises:
            UotaError: one of them is not a picture, or cannot be read.
        """
        return [shrunk(self._image(int(index)), self.max_side) for index in indices]

    def remarks(self, at_most: int = 5) -> list[str]:
        """Sentences on labels that cannot be used, and on an estimated pixel range."""
        return self.left_out.remarks_of(self.name)

    def _image(self, index: int) -> UInt8[Tensor, "channels height width"]:
        try:
            return as_image(self.pictures[index], self.pixel_range, self.image_megabytes)
        except UotaError as error:
            raise UotaError(f"picture {index}: {error}") from error

    def _estimated(self) -> PixelRange | None:
        found = check_not_normalised(estimate_pixel_range(self._deep_samples()))
        if found is None or found == UNIT_RANGE:
            return None  # so that each picture is checked to be in it
        self.left_out.remarks.append(describe_pixel_range(found))
        return found

    def _deep_samples(self) -> Iterator[NDArray[np.generic]]:
        for index in spread_indices(len(self.pictures)):
            pixels = deep_pixels_of(picture_of(self.pictures[index]), self.image_megabytes)
            if pixels is not None:
                yield pixels


def check_not_normalised(pixel_range: PixelRange | None) -> PixelRange | None:
    """Require that floats are not the output of torchvision's Normalize; None passes.

    Raises:
        UotaError: they look like it.
    """
    if pixel_range is None:
        return None
    black, white = pixel_range
    if -10 < black < -OVERSHOOT and white < 10:
        raise UotaError(
            f"pictures are floats from about {black:.2g} to {white:.2g}, like the output of Normalize; give its input, "
            "as bytes or floats in [0, 1], or set pixel_range to the values of black and white"
        )
    return pixel_range


def _labels_of(pictures: Any, left_out: LeftOut) -> tuple[Int64[Tensor, " len"] | None, list[str] | None]:
    """A dataset's labels and their names; None unless it has one number or one name for each picture."""
    targets = getattr(pictures, "targets", None)
    if targets is None:
        return None, None
    given = getattr(pictures, "classes", None)
    targets = targets.tolist() if isinstance(targets, Tensor | np.ndarray) else list(targets)
    if len(targets) == len(pictures) and all(type(target) is str for target in targets):
        names = sorted(set(targets))
        if len(names) <= len(targets) / 2:
            place = {name: number for number, name in enumerate(names)}
            return torch.tensor([place[target] for target in targets]), names
    elif len(targets) == len(pictures) and all(type(target) is int and target < 10**6 for target in targets):
        labels = torch.tensor(targets, dtype=torch.int64).clamp_min(UNLABELLED)
        classes = [str(name) for name in given] if isinstance(given, list | tuple) else None
        return (labels, classes) if bool((labels >= 0).any()) else (None, classes)
    left_out.add("target(s) of the dataset are not class labels, and are not used", repr(targets[:1])[:80])
    return None, None
