"""Crop and resize in a single resampling, as torchvision's resized_crop or TensorFlow's resize does.

For small images of one size, all views are resampled by two batched matrix products, which also mirror them. For any
other images, torch's uint8 kernel resamples view by view.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Num, UInt8
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided
from torch import Tensor
from torch.nn.functional import interpolate

from uota.views.view_preset import ALIASED, Interpolation

CHUNK = 131_072  # resampling weights processed at a time; fits in a core's cache
TILE = 32  # target pixels computed by one product, which reads only the source pixels that they need
SMALL = 96  # largest side for which dense resampling matrices cost less than a call per view


def are_small(images: Sequence[UInt8[Tensor, "channels _h _w"]]) -> bool:
    """Whether the images share one small size, which `crop_small` requires."""
    shape = images[0].shape
    return max(shape[-2:]) <= SMALL and all(image.shape == shape for image in images)


def crop_small(
    images: Float[Tensor, "images channels height width"],
    which: Int64[Tensor, "views batch"],
    boxes: Float[Tensor, "views batch 4"],
    flip: Bool[Tensor, "views batch"],
    size: int,
    interpolation: Interpolation = "bilinear",
) -> Float[Tensor, "views*batch channels size size"]:
    """Crop and resize view (v, b) from `images[which[v, b]]`, for all views at once; values are in [0, 1]."""
    target = size, interpolation
    common = which[0]
    if (which == common).all():
        return _crop_together(images.index_select(0, common), boxes, flip, *target).flatten(0, 1)
    common = which.mode(0).values  # the image that most views of a sample show; injected views are cropped separately
    if (which == common).float().mean() < 0.5:  # an item of a grouped source: each view shows another image
        each = images.index_select(0, which.flatten())
        return _crop_together(each, boxes.flatten(0, 1)[None], flip.flatten()[None], *target)[0]
    out, other = _crop_together(images.index_select(0, common), boxes, flip, *target), which != common
    injected = images.index_select(0, which[other])
    out[other] = _crop_together(injected, boxes[other][None], flip[other][None], *target)[0]
    return out.flatten(0, 1)


def _crop_together(
    images: Float[Tensor, "batch channels height width"],
    boxes: Float[Tensor, "views batch 4"],
    flip: Bool[Tensor, "views batch"],
    size: int,
    interpolation: Interpolation,
) -> Float[Tensor, "views batch channels size size"]:
    (views, batch), (channels, height, width) = flip.shape, images.shape[1:]
    out = torch.empty(views, batch, channels, size, size)
    step = max(1, CHUNK // (views * size * max(height, width)))
    for start in range(0, batch, step):
        part = slice(start, start + step)
        top, left, high, wide = boxes[:, part].transpose(0, 1).flatten(0, 1).long().numpy().T
        rows = _resampling_of_boxes(top, high, np.zeros(len(top), dtype=np.int64), height, size, interpolation)
        mirrored = flip[:, part].T.flatten().long().numpy()
        columns = _resampling_of_boxes(left, wide, mirrored, width, size, interpolation)
        lines = images[part].transpose(1, 2).flatten(2)  # (batch, height, channels * width)
        short = torch.bmm(rows.view(len(lines), views * size, height), lines)
        small = torch.bmm(short.view(-1, size * channels, width), columns.mT)
        out[:, part] = small.view(len(lines), views, size, channels, size).permute(1, 0, 3, 2, 4)
    return out if interpolation == "bilinear" else out.clamp_(0, 1)  # bicubic interpolation overshoots at edges


def _resampling_of_boxes(
    start: Int64[ndarray, " n"],
    length: Int64[ndarray, " n"],
    flip: Int64[ndarray, " n"],
    source: int,
    size: int,
    interpolation: Interpolation,
) -> Float[Tensor, "n size source"]:
    """Look up resampling matrices in a table; reading from further left shifts a matrix to the start of its box."""
    table = _resampling_table(source, size, interpolation)
    flips, lengths, targets, pixels = table.strides
    moved = as_strided(table, (2, source, source + 1, size, source), (flips, lengths, pixels, targets, pixels))
    return torch.from_numpy(moved[flip, length - 1, source - start])


@lru_cache(maxsize=16)
def _resampling_table(source: int, size: int, interpolation: Interpolation) -> Float[ndarray, "2 source size 2*source"]:
    """Return the matrices of all box lengths, plain and mirrored, each preceded by `source` columns of zeros."""
    lengths = torch.arange(1, source + 1)
    table = torch.zeros(2, source, size, 2 * source)
    table[0, :, :, source:] = resampling(lengths, source, size, interpolation)
    table[1] = table[0].flip(-2)
    return table.numpy()


def resampling(
    lengths: Int64[Tensor, " n"], source: int, size: int, interpolation: Interpolation = "bilinear"
) -> Float[Tensor, "n size source"]:
    """Return weights that resample the first `length` of `source` pixels of a line to `size` pixels.

    The kernel is a triangle or a cubic around each target's centre, truncated at the ends of the segment and normalised
    to sum to 1. With antialiasing its scale is max(1, length / size) source pixels, as in Pillow; without, 1 pixel, as
    in TensorFlow.
    """
    step = (lengths / size)[:, None, None]
    centre = step * (torch.arange(size) + 0.5)[:, None]
    pixel = torch.arange(source) + 0.5
    distance = (pixel - centre).abs() / (1 if interpolation == ALIASED else step.clamp(min=1))
    weights = (1 - distance).clamp(min=0) if interpolation == "bilinear" else _cubic(distance)
    weights = weights * (pixel < lengths[:, None, None])
    return weights / weights.sum(-1, keepdim=True)


def _cubic(distance: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Evaluate the cubic convolution kernel of Keys (1981) with a = -1/2, which Pillow, TensorFlow and torch use."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))


def crop_any(
    images: Sequence[UInt8[Tensor, "channels _h _w"]],
    which: Int64[Tensor, "views batch"],
    boxes: Float[Tensor, "views batch 4"],
    flip: Bool[Tensor, "views batch"],
    size: int,
    interpolation: Interpolation = "bilinear",
) -> UInt8[Tensor, "views*batch channels size size"]:
    """Crop and resize view (v, b) from `images[which[v, b]]`; images may differ in size."""
    out = torch.empty(which.numel(), images[0].shape[0], size, size, dtype=torch.uint8)
    rows = (which.flatten().tolist(), boxes.flatten(0, 1).int().tolist(), flip.flatten().tolist())
    for target, image, box, mirrored in zip(out, *rows, strict=True):
        view = _resized(images[image], box, size, interpolation)
        target.copy_(view.flip(-1) if mirrored else view)
    return out


def _resized(
    image: UInt8[Tensor, "channels height width"], box: list[int], size: int, interpolation: Interpolation
) -> UInt8[Tensor, "channels size size"]:
    top, left, high, wide = box
    crop = image[None, :, top : top + high, left : left + wide]
    if interpolation == ALIASED:
        return resized_aliased(crop[0], size).round_().clamp_(0, 255).to(torch.uint8)
    # interpolate would copy the crop too, but more slowly; decoders give interleaved colours, its fastest layout
    interleaved = image.shape[0] == 3 and image.stride(0) == 1
    crop = crop.contiguous(memory_format=torch.channels_last if interleaved else torch.contiguous_format)
    return interpolate(crop, (size, size), mode=interpolation, antialias=True)[0]


def resized_aliased(image: Num[Tensor, "channels height width"], size: int) -> Float[Tensor, "channels size size"]:
    """Resize bicubically over the four nearest pixels along each axis, as TensorFlow does; values may overshoot."""
    channels, height, width = image.shape
    lines, short, out = image.float(), torch.empty(channels, size, width), torch.empty(channels, size, size)
    rows, columns = _four_taps(height, size), _four_taps(width, size)
    for made, read in _tiles(height, size):
        short[:, made] = torch.matmul(rows[made, read], lines[:, read])
    for made, read in _tiles(width, size):
        out[:, :, made] = torch.matmul(short[:, :, read], columns[made, read].mT)
    return out


def _four_taps(source: int, size: int) -> Float[Tensor, "size source"]:
    """Return `resampling` of a whole line without antialiasing, built from its four non-zero weights."""
    centre = (torch.arange(size) + 0.5) * (source / size) - 0.5
    place = centre.floor().long()[:, None] + torch.arange(-1, 3)
    weights = _cubic((place - centre[:, None]).abs()) * ((place >= 0) & (place < source))
    weights /= weights.sum(-1, keepdim=True)
    return torch.zeros(size, source).scatter_add_(1, place.clamp_(0, source - 1), weights)


def _tiles(source: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Yield tiles of target pixels and the source pixels that each needs: two beyond its ends, one for rounding."""
    for start in range(0, size, TILE):
        stop = min(start + TILE, size)
        low, high = start * source // size - 3, stop * source // size + 4
        yield slice(start, stop), slice(max(low, 0), min(high, source))
