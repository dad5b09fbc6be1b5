"""Crop and resize: one resampling from source pixels to a view, antialiased, as torchvision's resized_crop.

Small images of one size: both resamplings of all views are two batched matrix products, mirrored for free.
Any other images: torch's uint8 kernel, view by view.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided
from torch import Tensor
from torch.nn.functional import interpolate

CHUNK = 131_072  # resampling weights at work at a time, which a core's cache holds
SMALL = 96  # up to this side dense resampling matrices cost less than a call per view


def are_small(images: Sequence[UInt8[Tensor, "channels _h _w"]]) -> bool:
    """Whether the images share one small size, so that `crop_small` applies."""
    shape = images[0].shape
    return max(shape[-2:]) <= SMALL and all(image.shape == shape for image in images)


def crop_small(
    images: Float[Tensor, "images channels height width"],
    which: Int64[Tensor, "views batch"],
    boxes: Float[Tensor, "views batch 4"],
    flip: Bool[Tensor, "views batch"],
    size: int,
) -> Float[Tensor, "views*batch channels size size"]:
    """Crop and resize view (v, b) from `images[which[v, b]]`, all at once; values keep the unit of `images`."""
    home = which[0]
    if (which == home).all():
        return _crop_together(images.index_select(0, home), boxes, flip, size).flatten(0, 1)
    home = which.mode(0).values  # what most views of a sample show is resampled together, injected ones apart
    if (which == home).float().mean() < 0.5:  # views of a group: each of an image of its own
        each = images.index_select(0, which.flatten())
        return _crop_together(each, boxes.flatten(0, 1)[None], flip.flatten()[None], size)[0]
    made, other = _crop_together(images.index_select(0, home), boxes, flip, size), which != home
    strangers = images.index_select(0, which[other])
    made[other] = _crop_together(strangers, boxes[other][None], flip[other][None], size)[0]
    return made.flatten(0, 1)


def _crop_together(
    images: Float[Tensor, "batch channels height width"],
    boxes: Float[Tensor, "views batch 4"],
    flip: Bool[Tensor, "views batch"],
    size: int,
) -> Float[Tensor, "views batch channels size size"]:
    (views, batch), (channels, height, width) = flip.shape, images.shape[1:]
    out = torch.empty(views, batch, channels, size, size)
    step = max(1, CHUNK // (views * size * max(height, width)))
    for start in range(0, batch, step):
        part = slice(start, start + step)
        top, left, high, wide = boxes[:, part].transpose(0, 1).flatten(0, 1).long().numpy().T
        rows = _resampling_of_boxes(top, high, np.zeros(len(top), dtype=np.int64), height, size)
        columns = _resampling_of_boxes(left, wide, flip[:, part].T.flatten().long().numpy(), width, size)
        lines = images[part].transpose(1, 2).flatten(2)  # (batch, height, channels * width)
        short = torch.bmm(rows.view(len(lines), views * size, height), lines)
        small = torch.bmm(short.view(-1, size * channels, width), columns.mT)
        out[:, part] = small.view(len(lines), views, size, channels, size).permute(1, 0, 3, 2, 4)
    return out


def _resampling_of_boxes(
    start: Int64[ndarray, " n"], length: Int64[ndarray, " n"], flip: Int64[ndarray, " n"], source: int, size: int
) -> Float[Tensor, "n size source"]:
    """Matrices looked up in a table, moved to where each box starts by reading from further left."""
    table = _resampling_table(source, size)
    flips, lengths, targets, pixels = table.strides
    moved = as_strided(table, (2, source, source + 1, size, source), (flips, lengths, pixels, targets, pixels))
    return torch.from_numpy(moved[flip, length - 1, source - start])


@lru_cache(maxsize=16)
def _resampling_table(source: int, size: int) -> Float[ndarray, "2 source size 2*source"]:
    """Matrices of all lengths, straight and mirrored, after `source` columns of zeros."""
    lengths = torch.arange(1, source + 1)
    table = torch.zeros(2, source, size, 2 * source)
    table[0, :, :, source:] = resampling(lengths, source, size)
    table[1] = table[0].flip(-2)
    return table.numpy()


def resampling(lengths: Int64[Tensor, " n"], source: int, size: int) -> Float[Tensor, "n size source"]:
    """Weights that resample the first `length` of `source` pixels of a line to `size` pixels.

    A triangle of half-width max(1, length / size) source pixels around each target's centre, cut at the end of the
    piece, summing to 1: bilinear with antialiasing.
    """
    step = (lengths / size)[:, None, None]
    centre = step * (torch.arange(size) + 0.5)[:, None]
    pixel = torch.arange(source) + 0.5
    weights = (1 - (pixel - centre).abs() / step.clamp(min=1)).clamp(min=0)
    weights = weights * (pixel < lengths[:, None, None])
    return weights / weights.sum(-1, keepdim=True)


def crop_any(
    images: Sequence[UInt8[Tensor, "channels _h _w"]],
    which: Int64[Tensor, "views batch"],
    boxes: Float[Tensor, "views batch 4"],
    flip: Bool[Tensor, "views batch"],
    size: int,
) -> UInt8[Tensor, "views*batch channels size size"]:
    """Crop and resize view (v, b) from `images[which[v, b]]`, whatever their sizes."""
    out = torch.empty(which.numel(), images[0].shape[0], size, size, dtype=torch.uint8)
    rows = (which.flatten().tolist(), boxes.flatten(0, 1).int().tolist(), flip.flatten().tolist())
    for target, image, box, mirrored in zip(out, *rows, strict=True):
        view = _resized(images[image], box, size)
        target.copy_(view.flip(-1) if mirrored else view)
    return out


def _resized(
    image: UInt8[Tensor, "channels height width"], box: list[int], size: int
) -> UInt8[Tensor, "channels size size"]:
    top, left, high, wide = box
    crop = image[None, :, top : top + high, left : left + wide]
    # interpolate would copy a cut-out as well, but slower; decoders leave colours interleaved, its fastest layout
    interleaved = image.shape[0] == 3 and image.stride(0) == 1
    crop = crop.contiguous(memory_format=torch.channels_last if interleaved else torch.contiguous_format)
    return interpolate(crop, (size, size), mode="bilinear", antialias=True)[0]
