"""Images that somebody has in memory: a tensor, a list, or a dataset of torch, such as torchvision's."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from uota.data.files.decode import UnreadableError, decode_image, deep_pixels, read_file, shrunk
from uota.data.files.formats import readable_formats
from uota.data.files.left_out import LeftOut
from uota.data.files.patience import patiently
from uota.data.files.pixel_range import describe_pixel_range, estimate_pixel_range, spread_indices
from uota.data.files.pixels import OVERSHOOT, UNIT_RANGE, PixelRange, from_array, from_pillow, is_deep
from uota.data.files.splits import UNLABELLED
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.settings.pretrain import IMAGE_MEGABYTES
from uota.settings.ranges import check_pixel_range

KINDS = "give a folder, a uint8 tensor (n, channels, height, width), or a list or dataset of pictures or of their paths"
CHANNELS = 3


class SequenceSource:
    """A source of whatever has a length and gives pictures by index, alone or with a label; three channels.

    A picture is of Pillow, the path of a file, an array (height, width[, channels]) or a tensor
    (channels, height, width) of any number type, and is read as files of a folder are: upright, on white where it is
    transparent, and with one range of black and white for all pictures of more than 8 bits. Labels are the dataset's
    `targets`, numbers or names, and their names its `classes`, where it has them.

    Attributes:
        left_out: labels that cannot be used.
        pixel_range: values of black and white, of pictures of more than 8 bits; None where there are none.
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

        Files that take more than `image_megabytes` when they are decoded are not read.

        Raises:
            UotaError: they cannot be taken by number, or floats among them are neither in [0, 1] nor of a known range.
        """
        if not hasattr(pictures, "__len__") or not hasattr(pictures, "__getitem__") or isinstance(pictures, dict):
            raise UotaError(f"{type(pictures).__name__} is nothing that images can be taken from by number; {KINDS}")
        if _is_one_picture(pictures):
            raise UotaError(
                f"one picture of shape {tuple(pictures.shape)} is no list of them; give [picture], or several"
            )
        self.pictures, self.max_side, self.left_out = pictures, max_side, LeftOut()
        self.image_megabytes = image_megabytes
        self.labels, self.classes = _labels_of(pictures, self.left_out)
        self.pixel_range = check_pixel_range(pixel_range) or self._estimated()

    @property
    def skipped(self) -> list[Path]:
        """None: a picture that cannot be read is an error here."""
        return []

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pictures)

    def images(self, indices: Sequence[int]) -> list[UInt8[Tensor, "channels _height _width"]]:
        """These images.

        Raises:
            UotaError: one is no picture.
        """
        return [shrunk(self._image(int(index)), self.max_side) for index in indices]

    def truth(
        self, index: Int64[Tensor, " batch"], boxes: Float[Tensor, "views batch 4"]
    ) -> Bool[Tensor, "views batch"] | None:
        """None: nothing is known of crops of these images."""
        return None

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
            pixels = _deep(_picture_of(self.pictures[index]), self.image_megabytes)
            if pixels is not None:
                yield pixels


def as_image(
    picture: Any, pixel_range: PixelRange | None = None, megabytes: int = IMAGE_MEGABYTES
) -> UInt8[Tensor, "3 height width"]:
    """One picture, with or without a label, as a tensor of three channels.

    Args:
        picture: of Pillow, a path, an array (height, width[, channels]) or a tensor (channels, height, width).
        pixel_range: values of black and white, of a picture of more than 8 bits; None: 0 and 65535, of floats 0 and 1.
        megabytes: how much a file may have when it is decoded.

    Raises:
        UotaError: it is none, or cannot be read.
    """
    picture = _picture_of(picture)
    try:
        if isinstance(picture, str | os.PathLike):
            path = path_of(Path(picture))
            data = patiently(lambda: read_file(path), path)
            return decode_image(data, CHANNELS, pixel_range=pixel_range, megabytes=megabytes)
        if isinstance(picture, Image.Image):
            return from_pillow(_known(picture), CHANNELS, pixel_range=pixel_range)
        return from_array(_as_array(picture), CHANNELS, pixel_range=pixel_range)
    except (UnreadableError, ValueError, OSError) as error:
        where = f"{picture} cannot be read: " if isinstance(picture, str | os.PathLike) else ""
        raise UotaError(f"{where}{error}; {KINDS}") from error


def check_not_normalised(pixel_range: PixelRange | None) -> PixelRange | None:
    """Require floats not to look as torchvision's Normalize leaves them; anything else passes.

    Raises:
        UotaError: they do.
    """
    if pixel_range is None:
        return None
    black, white = pixel_range
    if -10 < black < -OVERSHOOT and white < 10:
        raise UotaError(
            f"pictures are floats from about {black:.2g} to {white:.2g}, as Normalize leaves them: give them before "
            "it, as bytes or floats in [0, 1], or say by pixel_range which values are black and white"
        )
    return pixel_range


def _picture_of(item: Any) -> Any:
    """The picture of an item that may have a label beside it, or be a row of a table."""
    if isinstance(item, dict):
        return next((item[key] for key in ("image", "img", "pixel_values") if key in item), item)
    return item[0] if isinstance(item, tuple | list) and len(item) else item


def _is_one_picture(pictures: Any) -> bool:
    """Whether an array or a tensor is a picture in colours rather than many without."""
    if isinstance(pictures, Tensor):
        return pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[0] == CHANNELS)
    return isinstance(pictures, np.ndarray) and (
        pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[-1] in (3, 4))
    )


def _known(picture: Image.Image) -> Image.Image:
    """A picture of Pillow that is in memory, or of a format that no other program reads for it."""
    name = picture.format
    if name is not None and name not in (*readable_formats(), "MPO"):
        raise ValueError(f"a picture of the format {name} is not read here: convert it to PNG")
    return picture


def _as_array(picture: Any) -> NDArray[Any]:
    """Pixels (height, width[, channels]) of an array or a tensor."""
    if isinstance(picture, Tensor):
        if picture.layout is not torch.strided or picture.is_meta or picture.is_quantized:
            raise ValueError("a tensor is sparse, quantised or on the meta device; give a dense one with values")
        if picture.ndim == 3 and picture.shape[0] not in (1, 3):
            raise ValueError(f"a tensor of {picture.shape[0]} channels, not 1 or 3: (channels, height, width) is meant")
        picture = picture.detach().cpu()
        picture = picture.float() if picture.dtype in (torch.bfloat16, torch.float16) else picture
        return picture.permute(1, 2, 0).numpy() if picture.ndim == 3 else picture.numpy()
    if isinstance(picture, np.ma.MaskedArray):
        raise ValueError("an array has a mask; fill it, with array.filled(value)")
    if isinstance(picture, np.ndarray):
        return picture
    raise ValueError(f"an item is {type(picture).__name__}, no picture")


def _deep(picture: Any, megabytes: int) -> NDArray[np.generic] | None:
    """The pixels of a picture of more than 8 bits as they are; None of any other, and of what is no picture."""
    if isinstance(picture, Image.Image):
        return np.asarray(picture) if is_deep(picture.mode) else None
    try:
        if isinstance(picture, str | os.PathLike):
            return deep_pixels(read_file(path_of(Path(picture))), megabytes)
        pixels = _as_array(picture)
    except (UnreadableError, UotaError, ValueError, OSError, TypeError):  # said when the picture is read
        return None
    return None if pixels.dtype in (np.uint8, np.bool_) or pixels.dtype.kind not in "iuf" else pixels


def _labels_of(pictures: Any, left_out: LeftOut) -> tuple[Int64[Tensor, " len"] | None, list[str] | None]:
    """A dataset's labels, and their names; None where it has none that are one number or one name for each picture."""
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
    left_out.add("target(s) of the dataset are no labels of classes, and are not used", repr(targets[:1])[:80])
    return None, None
