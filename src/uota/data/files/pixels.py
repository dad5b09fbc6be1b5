"""Pixels of any kind as uint8: the one place where depth, transparency, orientation and channels are decided."""

from contextlib import suppress
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

Colour = tuple[int, int, int]
# Values that become black and white, of pixels that have more than 8 bits.
PixelRange = tuple[float | int, float | int]

WHITE = (255, 255, 255)
MODES = {1: "L", 3: "RGB"}
# What integers and floats of unknown range are taken for; a source estimates its own (`pixel_range.py`).
FULL_RANGE: PixelRange = (0.0, 65535.0)
UNIT_RANGE: PixelRange = (0.0, 1.0)
# Interpolation overshoots the ends of a range by about so much of it.
OVERSHOOT = 0.1
# Values that are scaled at a time, so that floats of a large image never stand beside it.
BLOCK = 2**20


def from_pillow(
    image: Image.Image, channels: int = 3, background: Colour = WHITE, pixel_range: PixelRange | None = None
) -> UInt8[Tensor, "channels height width"]:
    """The first frame of a picture of Pillow: upright by its EXIF orientation, on a background where transparent.

    Args:
        image: of any mode.
        channels: 1 (grey) or 3 (RGB).
        background: RGB colour that shows through where the picture is transparent.
        pixel_range: values of black and white, of a picture of more than 8 bits.

    Raises:
        ValueError: floats lie outside of 0 to 1, and no range is given.
        OSError: the picture is damaged.
    """
    image.load()  # a damaged file fails here, outside the forgiveness below
    upright = image
    with suppress(Exception):  # a damaged orientation does not damage the picture
        upright = ImageOps.exif_transpose(image)
    if is_deep(upright.mode):
        upright = Image.fromarray(to_8_bits(np.asarray(upright), pixel_range))
    pixels = np.array(_on_background(upright, background).convert(MODES[channels]))
    return torch.from_numpy(pixels)[None] if channels == 1 else torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def from_array(
    pixels: NDArray[Any], channels: int = 3, background: Colour = WHITE, pixel_range: PixelRange | None = None
) -> UInt8[Tensor, "channels height width"]:
    """Pixels (height, width) or (height, width, 1 to 4) of any number type: grey, grey and alpha, RGB, RGB and alpha.

    Raises:
        ValueError: another shape or type, or floats that are not finite or outside of 0 to 1, and no range.
    """
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 and not (pixels.ndim == 3 and 2 <= pixels.shape[-1] <= 4):
        raise ValueError(f"pixels have the shape {pixels.shape}, not (height, width) or (height, width, 1 to 4)")
    if not pixels.size:
        raise ValueError(f"pixels have the shape {pixels.shape}, of which none are left")
    if pixel_range is None and pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError(
            "pixels are NaN or infinite; where that means missing values, say pixel_range, which makes them black"
        )
    eight = np.ascontiguousarray(to_8_bits(pixels, pixel_range))
    return from_pillow(Image.fromarray(eight), channels, background)


def is_deep(mode: str) -> bool:
    """Whether a mode of Pillow has more than 8 bits a channel."""
    return mode.startswith(("I", "F"))


def to_8_bits(values: NDArray[Any], pixel_range: PixelRange | None = None) -> NDArray[np.uint8]:
    """Numbers as bytes, so that a range becomes 0 to 255, and what is beyond it black or white.

    Bytes stay as they are, and booleans are black and white; NaN and infinities are black.

    Args:
        values: of any real type.
        pixel_range: values of black and white; None: 0 to 65535 of integers, 0 to 1 of floats.

    Raises:
        ValueError: they are no real numbers, or floats outside of 0 to 1 without a range.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "iuf":
        raise ValueError(f"pixels are {values.dtype}, not numbers")
    if pixel_range is None:
        pixel_range = UNIT_RANGE if values.dtype.kind == "f" else FULL_RANGE
        if values.dtype.kind == "f":
            check_unit_floats(values)
    black, white = pixel_range
    flat, out = values.reshape(-1), np.empty(values.size, dtype=np.uint8)
    for start in range(0, len(flat), BLOCK):
        part = (flat[start : start + BLOCK].astype(np.float32) - np.float32(black)) * np.float32(255 / (white - black))
        out[start : start + BLOCK] = np.nan_to_num(part, nan=0, posinf=0, neginf=0).clip(0, 255).round()
    return out.reshape(values.shape)


def check_unit_floats(values: NDArray[Any]) -> None:
    """Require finite floats to lie in [0, 1], with room for what interpolation overshoots; NaN and infinities pass.

    Raises:
        ValueError: some are not.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise ValueError(
            f"pixels are floats from {low:.3g} to {high:.3g}, not in [0, 1]; "
            "give them before Normalize, or say by pixel_range which values are black and white"
        )


def _on_background(image: Image.Image, background: Colour) -> Image.Image:
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (*background, 255)), layer)
