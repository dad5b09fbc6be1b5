"""One picture of whatever kind a user has in memory, as a uint8 tensor."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from uota.data.files.decode import UnreadableError, decode_image, deep_pixels, read_file
from uota.data.files.formats import readable_formats
from uota.data.files.patience import patiently
from uota.data.files.pixels import PixelRange, from_array, from_pillow, is_deep
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.settings.pretrain import IMAGE_MEGABYTES

KINDS = "give a folder, a uint8 tensor (n, channels, height, width), or a list or dataset of pictures or of their paths"
CHANNELS = 3


def as_image(
    picture: Any, pixel_range: PixelRange | None = None, megabytes: int = IMAGE_MEGABYTES
) -> UInt8[Tensor, "3 height width"]:
    """One picture, with or without a label, as a tensor of three channels.

    Args:
        picture: a Pillow image, a path, an array (height, width[, channels]) or a tensor (channels, height, width).
        pixel_range: values of black and white, of a picture of more than 8 bits; None: 0 and 65535, of floats 0 and 1.
        megabytes: largest size of a decoded file.

    Raises:
        UotaError: it is no picture, or cannot be read.
    """
    picture = picture_of(picture)
    try:
        if isinstance(picture, str | os.PathLike):
            path = path_of(Path(picture))
            data = patiently(lambda: read_file(path), path)
            return decode_image(data, CHANNELS, pixel_range=pixel_range, megabytes=megabytes)
        if isinstance(picture, Image.Image):
            return from_pillow(_safe(picture), CHANNELS, pixel_range=pixel_range)
        return from_array(_as_array(picture), CHANNELS, pixel_range=pixel_range)
    except (UnreadableError, ValueError, OSError) as error:
        where = f"{picture} cannot be read: " if isinstance(picture, str | os.PathLike) else ""
        raise UotaError(f"{where}{error}; {KINDS}") from error


def picture_of(item: Any) -> Any:
    """The picture in an item, which may be a (picture, label) pair or a row of a table."""
    if isinstance(item, dict):
        return next((item[key] for key in ("image", "img", "pixel_values") if key in item), item)
    return item[0] if isinstance(item, tuple | list) and len(item) else item


def deep_pixels_of(picture: Any, megabytes: int) -> NDArray[np.generic] | None:
    """The unscaled pixels of a picture of more than 8 bits; None for other pictures and anything else."""
    if isinstance(picture, Image.Image):
        return np.asarray(picture) if is_deep(picture.mode) else None
    try:
        if isinstance(picture, str | os.PathLike):
            return deep_pixels(read_file(path_of(Path(picture))), megabytes)
        pixels = _as_array(picture)
    except (UnreadableError, UotaError, ValueError, OSError, TypeError):  # reported when the picture is read
        return None
    return None if pixels.dtype in (np.uint8, np.bool_) or pixels.dtype.kind not in "iuf" else pixels


def is_one_picture(pictures: Any) -> bool:
    """Whether an array or a tensor is one colour picture, not a batch of grey ones."""
    if isinstance(pictures, Tensor):
        return pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[0] == CHANNELS)
    return isinstance(pictures, np.ndarray) and (
        pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[-1] in (3, 4))
    )


def _safe(picture: Image.Image) -> Image.Image:
    """The picture, if it is decoded already or of a format that Pillow decodes without starting another program."""
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
            raise ValueError(f"a tensor has {picture.shape[0]} channels, not 1 or 3; give (channels, height, width)")
        picture = picture.detach().cpu()
        picture = picture.float() if picture.dtype in (torch.bfloat16, torch.float16) else picture
        return picture.permute(1, 2, 0).numpy() if picture.ndim == 3 else picture.numpy()
    if isinstance(picture, np.ma.MaskedArray):
        raise ValueError("an array has a mask; fill it, with array.filled(value)")
    if isinstance(picture, np.ndarray):
        return picture
    raise ValueError(f"an item is a {type(picture).__name__}, not a picture")
