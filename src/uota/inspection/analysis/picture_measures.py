"""Measures of one picture that tell whether it is empty, dark, washed out, blurred, or the copy of another."""

from hashlib import blake2b
from typing import NamedTuple

import imagehash
import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import max_pool2d

from uota.data.files.decode import shrunk

# Longest side at which colours and copies, and blur, are measured.
SIDE, BLUR_SIDE = 256, 512
# Side of the square of bits of a perceptual hash, and of the thumbnail that confirms its matches.
HASH_SIDE, THUMBNAIL_SIDE = 16, 16
# Shares of the pixels below the value that stands for the darkest ones, and below that for the brightest. Few pixels
# of a drawing are lines, and some stars leave a night dark.
DARKEST, BRIGHTEST = 0.001, 0.99
# The darkest pixels are no more than this share of those drawn, which are darker than the brightest by over `GROUND`:
# a small thing on a large page is not pale.
DRAWN, GROUND = 0.01, 12
# Blur is measured in windows of this size in pixels, in which brightness changes by at least `CONTRAST` of [0, 1];
# `SHARPEST` is the quantile of the windows that stands for the picture's sharpest part.
WINDOW, CONTRAST, SHARPEST = 33, 0.1, 0.95
# Shorter side in pixels below which a picture has no edges to speak of.
LEAST_SIDE = 16


class Measures(NamedTuple):
    """Measures of a picture.

    Attributes:
        height, width: size in pixels.
        digest: cryptographic hash of the size and all pixels; equal for equal pictures.
        bits: perceptual hash (`imagehash.phash`), as packed bits.
        thumbnail: the picture in 16×16 pixels of three channels.
        colour_range: largest difference of values in a channel, 0 to 255.
        darkest: value below which the smallest channel of 0.1 % of the pixels is, or of 1 % of those drawn if these are
            fewer, 0 to 255; high only if all is pale.
        solid: share of the contrast between that value and the brightest that is left without lines thinner than three
            pixels, which are pale because they are thin.
        brightest: value below which the largest channel of 99 % of the pixels is, 0 to 255.
        sharpness: steepest change from one pixel to the next as a share of the change in its surroundings, see
            `sharpness`; NaN if nothing in the picture has enough contrast, or if it is too small.
    """

    height: int
    width: int
    digest: bytes
    bits: UInt8[np.ndarray, " bytes"]
    thumbnail: UInt8[np.ndarray, "side side 3"]
    colour_range: int
    darkest: int
    solid: float
    brightest: int
    sharpness: float


def measure(image: UInt8[Tensor, "channels height width"]) -> Measures:
    """Measure a picture, given in its original size with one channel or three."""
    height, width = image.shape[1:]
    small = shrunk(image, SIDE)
    pixels = small.numpy()
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    thumbnail = picture.convert("RGB").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
    flat = pixels.reshape(len(pixels), -1)
    return Measures(
        height,
        width,
        _digest(image),
        np.packbits(imagehash.phash(picture, HASH_SIDE).hash),
        np.asarray(thumbnail),
        int(np.ptp(flat, axis=1).max()),
        *_darkest(image.amin(0)),
        _quantile(image.amax(0), BRIGHTEST),
        sharpness(shrunk(image, BLUR_SIDE).float().mean(0) / 255),
    )


def sharpness(grey: Float[Tensor, "height width"]) -> float:
    """Return how abruptly brightness changes in the sharpest part of a picture.

    In each window, the largest gradient (central differences, per pixel) is divided by the range of brightness. This
    depends on the width of edges, not on their contrast or number: a step between two pixels gives at least 0.5, an
    edge blurred by a Gaussian of standard deviation s gives 1 / (s √(2π)). The 95 % quantile over windows is returned,
    so that a sharp subject before a blurred background counts as sharp.

    Args:
        grey: brightness in [0, 1].
    """
    if min(grey.shape) < LEAST_SIDE:
        return float("nan")
    window = min(WINDOW, min(grey.shape) - 2)
    across, down = (grey[1:-1, 2:] - grey[1:-1, :-2]) / 2, (grey[2:, 1:-1] - grey[:-2, 1:-1]) / 2
    stride = max(1, window // 2)
    steepest = max_pool2d((across**2 + down**2).sqrt()[None], window, stride)
    # The gradient at the border of a window reaches one pixel beyond it.
    contrast = max_pool2d(grey[None], window + 2, stride) + max_pool2d(-grey[None], window + 2, stride)
    enough = contrast > CONTRAST
    return float((steepest / contrast)[enough].quantile(SHARPEST)) if bool(enough.any()) else float("nan")


def _darkest(values: UInt8[Tensor, "height width"]) -> tuple[int, float]:
    """Return the value of the darkest pixels, and the share of their contrast that is left without thin lines."""
    brightest = int(values.max())
    drawn = float((values < brightest - GROUND).float().mean())
    share = min(DARKEST, DRAWN * drawn)
    darkest = _quantile(values, share)
    left = brightest - _quantile(_without_thin_lines(values), share)
    return darkest, left / max(brightest - darkest, 1)


def _without_thin_lines(values: UInt8[Tensor, "height width"]) -> UInt8[Tensor, "_height _width"]:
    """Replace each pixel by the brightest of the 3×3 around it; the border is left out."""
    if min(values.shape) < 3:
        return values
    rows = torch.maximum(torch.maximum(values[:-2], values[1:-1]), values[2:])
    return torch.maximum(torch.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _quantile(values: UInt8[Tensor, "height width"], share: float) -> int:
    """Return the smallest value that at least this share of the values, and at least one, do not exceed."""
    counts = np.bincount(values.flatten().numpy(), minlength=256)
    return int(np.searchsorted(counts.cumsum(), max(1, share * counts.sum())))


def _digest(image: Tensor) -> bytes:
    digest = blake2b(repr(tuple(image.shape)).encode(), digest_size=16)
    digest.update(image.contiguous().numpy().data)
    return digest.digest()


def relative_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Float[np.ndarray, " pairs"]:
    """Return the root mean square difference of pairs of thumbnails, relative to the pictures' own contrast.

    Args:
        first, second: thumbnails (pairs, side, side, 3).

    Returns:
        The difference divided by the mean standard deviation of the channels of both; one grey level at least.
    """
    a, b = first.astype(np.float32), second.astype(np.float32)
    contrast = (a.std((1, 2)).mean(1) + b.std((1, 2)).mean(1)) / 2
    return np.sqrt(((a - b) ** 2).mean((1, 2, 3))) / np.maximum(contrast, 1)
