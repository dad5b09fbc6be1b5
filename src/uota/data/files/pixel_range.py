"""Estimates which values are black and white in images of more than 8 bits, once for all images of a source."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from numpy.typing import NDArray

from uota.data.files.pixels import OVERSHOOT, UNIT_RANGE, PixelRange
from uota.errors import UotaError

# Number of images of a source in the estimate, and number of values of each.
IMAGES, VALUES = 64, 4096
# Quantiles that are robust to missing values and hot pixels.
LOWEST, HIGHEST = 0.001, 0.999
# Larger numbers are placeholders for missing values.
MISSING = 1e30


def estimate_pixel_range(samples: Iterable[NDArray[np.generic]]) -> PixelRange | None:
    """Values of black and white in images of more than 8 bits, by robust quantiles over a sample of them.

    Whole numbers that start near 0 are assumed to come from a sensor: white is the largest value of its bit depth, such
    as 1023, 4095 or 65535. Floats in [0, 1] have these limits. For anything else, such as temperatures or heights, the
    quantiles themselves are the limits.

    Args:
        samples: pixels of images; those of bytes and booleans are ignored.

    Returns:
        None if no image has more than 8 bits.

    Raises:
        UotaError: some images are whole numbers and some are floats, with different ranges.
    """
    samples = list(samples)
    floats = [pixels for pixels in samples if pixels.dtype.kind == "f"]
    whole = [pixels for pixels in samples if pixels.dtype.kind in "iu" and pixels.dtype != np.uint8]
    ranges = [_range_of(kind) for kind in (floats, whole) if kind]
    if len(set(ranges)) > 1:
        (low, high), (first, last) = ranges
        raise UotaError(
            f"some images are floats from {low:g} to {high:g} and some are whole numbers from {first:g} to {last:g}, "
            "and all images need one range of black and white; convert one kind, or give --pixel_range"
        )
    return ranges[0] if ranges else None


def _range_of(samples: list[NDArray[np.generic]]) -> PixelRange:
    """The range of images with one kind of numbers."""
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
    """A sentence that states an estimated range."""
    black, white = pixel_range
    return (
        f"images of more than 8 bits are read with black at {black:g} and white at {white:g}, "
        f"estimated from some of them; --pixel_range=[{black:g},{white:g}] sets it"
    )


def spread_indices(count: int, at_most: int = IMAGES) -> list[int]:
    """Up to `at_most` indices, spread evenly from the first to the last image; none if there are no images."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(int)).tolist()


def _some(pixels: NDArray[np.generic]) -> Float64[ndarray, " values"]:
    """Finite values spread over an image; about the same number for every image."""
    flat = pixels.reshape(-1)
    values = flat[np.linspace(0, len(flat) - 1, min(len(flat), VALUES)).astype(int)].astype(np.float64)
    return values[np.abs(values) < MISSING]  # NaN is not below it either
