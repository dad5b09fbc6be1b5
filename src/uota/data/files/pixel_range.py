"""Which values are black and white in images of more than 8 bits: one decision for all images of a source."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from numpy.typing import NDArray

from uota.data.files.pixels import OVERSHOOT, UNIT_RANGE, PixelRange
from uota.errors import UotaError

# So many images of a source are looked at, and so many values of each.
IMAGES, VALUES = 64, 4096
# A missing value or a hot pixel is not what white should be.
LOWEST, HIGHEST = 0.001, 0.999
# Larger numbers stand for values that are missing.
MISSING = 1e30


def estimate_pixel_range(samples: Iterable[NDArray[np.generic]]) -> PixelRange | None:
    """Black and white of images of more than 8 bits, by robust percentiles of some of them together.

    Whole numbers that begin near 0 are taken for a sensor's: white is the end of its bits, 1023, 4095 or 65535. Floats
    in [0, 1] have these ends. Of anything else (temperatures, heights) the percentiles themselves are the ends.

    Args:
        samples: pixels of images; those of bytes and booleans do not count.

    Returns:
        None where no image has more than 8 bits.

    Raises:
        UotaError: some are whole numbers and some are floats, which no one range serves.
    """
    samples = list(samples)
    floats = [pixels for pixels in samples if pixels.dtype.kind == "f"]
    whole = [pixels for pixels in samples if pixels.dtype.kind in "iu" and pixels.dtype != np.uint8]
    ranges = [_range_of(kind) for kind in (floats, whole) if kind]
    if len(set(ranges)) > 1:
        (low, high), (first, last) = ranges
        raise UotaError(
            f"some images are floats from {low:g} to {high:g} and some are whole numbers from {first:g} to {last:g}, "
            "which no one range of black and white serves: convert one kind, or give --pixel_range"
        )
    return ranges[0] if ranges else None


def _range_of(samples: list[NDArray[np.generic]]) -> PixelRange:
    """The range of images of one kind of numbers."""
    values = np.concatenate([_some(pixels) for pixels in samples])
    if not len(values):
        return UNIT_RANGE
    low, high = (float(end) for end in np.quantile(values, (LOWEST, HIGHEST)))
    whole = bool((values == values.round()).all())
    if not whole and low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return UNIT_RANGE
    if whole and values.max() <= 1 and values.min() >= 0:  # a mask
        return UNIT_RANGE
    if whole and low >= 0 and low <= high / 2:
        bits = max(8, int(np.ceil(np.log2(high + 1))))
        return 0.0, float(2**bits - 1)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def describe_pixel_range(pixel_range: PixelRange) -> str:
    """A sentence for a person."""
    black, white = pixel_range
    return (
        f"images of more than 8 bits are read with black at {black:g} and white at {white:g}, "
        f"estimated from some of them; --pixel_range=[{black:g},{white:g}] sets it"
    )


def spread_indices(count: int, at_most: int = IMAGES) -> list[int]:
    """Up to `at_most` indices of a source, spread evenly from the first to the last; none of an empty one."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(int)).tolist()


def _some(pixels: NDArray[np.generic]) -> Float64[ndarray, " values"]:
    """Some finite values, spread over an image; those of any image weigh the same."""
    flat = pixels.reshape(-1)
    values = flat[np.linspace(0, len(flat) - 1, min(len(flat), VALUES)).astype(int)].astype(np.float64)
    return values[np.abs(values) < MISSING]  # NaN is not below it either
