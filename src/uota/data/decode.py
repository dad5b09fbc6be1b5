"""One image file, of whatever kind, as a uint8 tensor."""

import warnings
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.io import ImageReadMode, decode_jpeg

Colour = tuple[int, int, int]

# More pixels than this are a decompression bomb, or nothing one would train on; Pillow's own limit.
MAX_PIXELS = 89_478_485
JPEG_MODES = {1: ImageReadMode.GRAY, 3: ImageReadMode.RGB}
MODES = {1: "L", 3: "RGB"}


class UnreadableError(Exception):
    """A file that is no whole image. For the folder that meets it, which skips it; never for a person."""


def read_image(
    path: Path, channels: int = 3, background: Colour = (255, 255, 255), max_side: int | None = None
) -> UInt8[Tensor, "channels height width"]:
    """Read the first frame of an image, upright (by its EXIF orientation).

    Args:
        path: of any format that Pillow knows; the content counts, not the extension.
        channels: 1 or 3.
        background: RGB colour that shows through where an image is transparent.
        max_side: shrink so that no side is longer, keeping the proportions; None: keep the size.

    Raises:
        UnreadableError: the file cannot be opened, is damaged, or has more than `MAX_PIXELS` pixels.
    """
    try:
        return decode_image(np.fromfile(path, dtype=np.uint8), channels, background, max_side)
    except Exception as error:
        raise UnreadableError(f"{path}: {error}") from error


def decode_image(
    data: NDArray[np.uint8], channels: int = 3, background: Colour = (255, 255, 255), max_side: int | None = None
) -> UInt8[Tensor, "channels height width"]:
    """The bytes of an image file as `read_image` returns it.

    Raises:
        UnreadableError: they are no whole image, or it has more than `MAX_PIXELS` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata are of no use in training
            return shrunk(_decoded(data, channels, background), max_side)
    except Exception as error:  # decoders raise about anything on hostile bytes
        raise UnreadableError(str(error)) from error


def read_size(path: Path, max_side: int | None = None) -> tuple[int, int]:
    """Height and width of an image by its header, shrunk as `read_image` does but not turned upright.

    Raises:
        UnreadableError: no decoder knows the file, or it has more than `MAX_PIXELS` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                _refuse_bomb(image)
                return _shrunk_size(image.height, image.width, max_side)
    except Exception as error:
        raise UnreadableError(f"{path}: {error}") from error


def _decoded(data: np.ndarray, channels: int, background: Colour) -> Tensor:
    with Image.open(BytesIO(data.data)) as image:
        _refuse_bomb(image)
        if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
            with suppress(RuntimeError):  # Pillow forgives a few files that this decoder does not
                return decode_jpeg(torch.from_numpy(data), JPEG_MODES[channels], apply_exif_orientation=True)
        return _from_pillow(image, channels, background)


def _refuse_bomb(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width}×{image.height} pixels are too many")


def _from_pillow(image: Image.Image, channels: int, background: Colour) -> Tensor:
    image.load()  # reads the first frame; a damaged file fails here, outside the forgiveness below
    upright = image
    with suppress(Exception):  # a damaged orientation does not damage the image
        upright = ImageOps.exif_transpose(image)
    opaque = _on_background(_to_8_bits(upright), background).convert(MODES[channels])
    pixels = np.array(opaque)
    return torch.from_numpy(pixels)[None] if channels == 1 else torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floats, as 8 bits; Pillow's own conversion would clip."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0).clip(min=0)
    peak = values.max(initial=0)
    full = next((full for full in _full_scales(image.mode) if peak <= full), peak)
    return Image.fromarray((values * (255 / full)).round().astype(np.uint8))


def _full_scales(mode: str) -> tuple[float, ...]:
    """What counts as white, the smallest that fits."""
    return (1.0, 255.0, 65535.0) if mode == "F" else (65535.0,)


def _on_background(image: Image.Image, background: Colour) -> Image.Image:
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (*background, 255)), layer)


def shrunk(image: Tensor, max_side: int | None) -> Tensor:
    height, width = image.shape[-2:]
    size = _shrunk_size(height, width, max_side)
    if size == (height, width):
        return image
    if 1 in size:  # torch 2.14's uint8 kernel goes wrong, silently or with an error, where a side becomes 1
        return interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().to(torch.uint8)
    return interpolate(image[None], size, mode="bilinear", antialias=True)[0].contiguous()


def _shrunk_size(height: int, width: int, max_side: int | None) -> tuple[int, int]:
    longest = max(height, width)
    if max_side is None or longest <= max_side:
        return height, width
    # round() treats height and width alike, so that an image on its side shrinks to the same size on its side.
    return max(1, round(height * max_side / longest)), max(1, round(width * max_side / longest))
