"""Converts pixels of any type to uint8: depth, transparency, orientation and channels are handled here only."""

from contextlib import suppress
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

Colour = tuple[int, int, int]
# Values that become black and white, in pixels of more than 8 bits.
PixelRange = tuple[float | int, float | int]

WHITE = (255, 255, 255)
MODES = {1: "L", 3: "RGB"}
# Assumed ranges of integers and floats; sources estimate their own (`pixel_range.py`).
FULL_RANGE: PixelRange = (0.0, 65535.0)
UNIT_RANGE: PixelRange = (0.0, 1.0)
# Interpolation overshoots the limits of a range by about this share of it.
OVERSHOOT = 0.1
# Number of values scaled at a time, so that a large image never needs a copy of itself in floats.
BLOCK = 2**20


def from_pillow(
    image: Image.Image, channels: int = 3, background: Colour = WHITE, pixel_range: PixelRange | None = None
) -> UInt8[Tensor, "channels height width"]:
    """Convert the first frame of a Pillow image: upright by its EXIF orientation, on a background if transparent.

    Args:
        image: an image of any mode.
        channels: 1 (grey) or 3 (RGB).
        background: RGB colour behind transparent pixels.
        pixel_range: values of black and white, of a picture of more than 8 bits.

    Raises:
        ValueError: floats are outside [0, 1], and no range is given.
        OSError: the picture is damaged.
    """
    image.load()  # a damaged file fails here, not in the block below that ignores errors
    upright = image
    with suppress(Exception):  # the picture is usable without its orientation
        upright = ImageOps.exif_transpose(image)
    if is_deep(upright.mode):
        upright = Image.fromarray(to_8_bits(np.asarray(upright), pixel_range))
    pixels = np.array(_on_background(upright, background).convert(MODES[channels]))
    return torch.from_numpy(pixels)[None] if channels == 1 else torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def from_array(
    pixels: NDArray[Any], channels: int = 3, background: Colour = WHITE, pixel_range: PixelRange | None = None
) -> UInt8[Tensor, "channels height width"]:
    """Convert (height, width) or (height, width, 1 to 4) pixels of any number type: grey or RGB, with or without alpha.

    Raises:
        ValueError: the shape or type is another, or there is no range and floats are not finite or outside [0, 1].
    """
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 and not (pixels.ndim == 3 and 2 <= pixels.shape[-1] <= 4):
        raise ValueError(f"pixels have the shape {pixels.shape}, not (height, width) or (height, width, 1 to 4)")
    if not pixels.size:
        raise ValueError(f"pixels have the shape {pixels.shape}, which is empty")
    if pixel_range is None and pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError(
            "pixels are NaN or infinite; if these are missing values, set pixel_range, which makes them black"
        )
    eight = np.ascontiguousarray(to_8_bits(pixels, pixel_range))
    return from_pillow(Image.fromarray(eight), channels, background)


def is_deep(mode: str) -> bool:
    """Whether a mode of Pillow has more than 8 bits a channel."""
    return mode.startswith(("I", "F"))


def to_8_bits(values: NDArray[Any], pixel_range: PixelRange | None = None) -> NDArray[np.uint8]:
    """Scale numbers to bytes so that a range becomes 0 to 255; values beyond it are clipped.

    Bytes are unchanged, and booleans become black and white; NaN and infinities become black.

    Args:
        values: an array of any real type.
        pixel_range: values of black and white; None: 0 and 65535 for integers, 0 and 1 for floats.

    Raises:
        ValueError: they are not real numbers, or there is no range and floats are outside [0, 1].
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
    """Require finite floats to be in [0, 1], with room for overshooting interpolation; NaN and infinities pass.

    Raises:
        ValueError: some are outside.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise ValueError(
            f"pixels are floats from {low:.3g} to {high:.3g}, not in [0, 1]; "
            "give the input of Normalize, or set pixel_range to the values of black and white"
        )


def _on_background(image: Image.Image, background: Colour) -> Image.Image:
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (*background, 255)), layer)
