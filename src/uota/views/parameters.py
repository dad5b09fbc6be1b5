"""What is done to each view, drawn from uniforms: the distributions are torchvision's, the randomness is per sample.

Everything about the views of a sample is a function of (seed, epoch, index) alone, so that neither the batch, nor
the worker, nor the rank, nor an interruption changes a view.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import permutations

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray
from torch import Tensor

from uota.errors import UotaError
from uota.views.presets import CropLike, ViewPreset, ViewSizePreset

ATTEMPTS = 10  # as torchvision's RandomResizedCrop, before it falls back to the centre
COVERED = 0.1  # least share of the image in a crop of SimCLR's
COLUMNS = (
    *("top", "left", "flip", "jitter", "brightness", "contrast", "saturation", "hue", "order"),
    *("grey", "blur", "sigma", "solarise", "injected", "stranger"),
)
UNIFORMS = len(COLUMNS) + 2 * ATTEMPTS
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # the codes in jitter_order, torchvision's


@dataclass
class ViewParameters:
    """What was done to each view, in this order; every field is (views, batch).

    Attributes:
        image: index in the source of the image that the view shows (another than asked for, where injected; one of
            the item's, where the source is grouped).
        image_size: height and width of that image in pixels.
        box: crop box in source pixels, (top, left, height, width), whole numbers as float32.
        flip: mirrored left to right.
        brightness, contrast, saturation: factors, 1 for none (colours like BYOL's: brightness - 1 is added). hue: a
            shift in turns, 0 for none.
        jitter_order: in which order these four were applied: 0 brightness, 1 contrast, 2 saturation, 3 hue.
        grey: turned grey.
        blur_sigma: of the Gaussian blur, in pixels of the view, 0 for none.
        solarise: inverted above the preset's threshold.
        rand_augment: seed of RandAugment's operations, 0 for none.
    """

    image: Int64[Tensor, "views batch"]
    image_size: Int64[Tensor, "views batch 2"]
    box: Float[Tensor, "views batch 4"]
    flip: Bool[Tensor, "views batch"]
    brightness: Float[Tensor, "views batch"]
    contrast: Float[Tensor, "views batch"]
    saturation: Float[Tensor, "views batch"]
    hue: Float[Tensor, "views batch"]
    jitter_order: Int64[Tensor, "views batch 4"]
    grey: Bool[Tensor, "views batch"]
    blur_sigma: Float[Tensor, "views batch"]
    solarise: Bool[Tensor, "views batch"]
    rand_augment: Int64[Tensor, "views batch"]

    def __getitem__(self, views: slice | Tensor | tuple[Tensor, Tensor]) -> "ViewParameters":
        """The parameters of some of the views, e.g. `parameters[:2]`, or `parameters[views, images]`."""
        return ViewParameters(*(getattr(self, field.name)[views] for field in fields(self)))

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "ViewParameters":
        """All fields on `device`."""
        moved = (getattr(self, field.name).to(device, non_blocking=non_blocking) for field in fields(self))
        return ViewParameters(*moved)

    def pin_memory(self) -> "ViewParameters":
        """All fields in page-locked memory."""
        return ViewParameters(*(getattr(self, field.name).pin_memory() for field in fields(self)))


def sample_uniforms(seed: int, samples: Sequence[tuple[int, int]], views: int) -> Float64[ndarray, "views batch k"]:
    """Draw the uniforms in [0, 1) of each (epoch, index): a Philox stream of its own, whatever the others are."""
    if not 0 <= seed < 2**64:
        raise UotaError(f"The seed of a view pipeline must lie between 0 and 2^64 - 1, not {seed}.")
    stream = np.random.Philox(key=seed)
    generator, state = np.random.Generator(stream), stream.state
    uniforms = np.empty((len(samples), views, UNIFORMS))
    for row, (epoch, index) in zip(uniforms, samples, strict=True):
        # the state of Philox(key=seed, counter=[0, 0, epoch, index]), without the cost of making one
        state["state"]["counter"][:] = (0, 0, epoch, index)
        stream.state = state
        generator.random(out=row)
    return uniforms.transpose(1, 0, 2)


def column(uniforms: Float64[ndarray, "views batch k"], name: str) -> Float64[ndarray, "views batch"]:
    """The uniforms set aside for one purpose."""
    return uniforms[..., COLUMNS.index(name)]


def view_parameters(
    preset: ViewPreset,
    uniforms: Float64[ndarray, "views batch k"],
    image: Int64[Tensor, "views batch"],
    height: Int64[ndarray, "views batch"],
    width: Int64[ndarray, "views batch"],
) -> ViewParameters:
    """Turn uniforms into parameters, given the size in pixels of the image that each view is cropped from."""
    drawn: list[dict[str, ndarray]] = []
    start = 0
    for group in preset.sizes:
        views = slice(start, start + group.count)
        drawn.append(_group_parameters(group, uniforms[views], height[views], width[views]))
        start += group.count
    joined = {name: torch.from_numpy(np.concatenate([part[name] for part in drawn])) for name in drawn[0]}
    return ViewParameters(image, torch.from_numpy(np.stack([height, width], -1)), **joined)


def resized_crop_boxes(
    uniforms: Float64[ndarray, "*shape k"],
    height: Int64[ndarray, "*shape"],
    width: Int64[ndarray, "*shape"],
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Float[ndarray, "*shape 4"]:
    """Boxes (top, left, height, width) as torchvision's RandomResizedCrop draws them.

    Of ten attempts at an area and an aspect the first that fits counts; if none does, the largest central box whose
    aspect is allowed.
    """
    area, aspect = np.split(uniforms[..., len(COLUMNS) :], 2, axis=-1)
    high, wide = _sides(area, aspect, (height * width)[..., None], scale, ratio)
    fits = (wide > 0) & (wide <= width[..., None]) & (high > 0) & (high <= height[..., None])
    first, found = fits.argmax(-1)[..., None], fits.any(-1)
    central_high, central_wide = _central_box(height, width, ratio)
    high = np.where(found, np.take_along_axis(high, first, -1)[..., 0], central_high)
    wide = np.where(found, np.take_along_axis(wide, first, -1)[..., 0], central_wide)
    top = np.where(found, np.floor(column(uniforms, "top") * (height - high + 1)), (height - high) // 2)
    left = np.where(found, np.floor(column(uniforms, "left") * (width - wide + 1)), (width - wide) // 2)
    return np.stack((top, left, high, wide), -1).astype(np.float32)


def clipped_boxes(
    uniforms: Float64[ndarray, "*shape k"],
    height: Int64[ndarray, "*shape"],
    width: Int64[ndarray, "*shape"],
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Float[ndarray, "*shape 4"]:
    """Boxes (top, left, height, width) as BYOL's code draws them: one area and aspect, sides clipped to the image's."""
    area, aspect = uniforms[..., len(COLUMNS)], uniforms[..., len(COLUMNS) + ATTEMPTS]
    high, wide = _sides(area, aspect, height * width, scale, ratio)
    high, wide = high.clip(1, height), wide.clip(1, width)
    top = np.floor(column(uniforms, "top") * (height - high + 1))
    left = np.floor(column(uniforms, "left") * (width - wide + 1))
    return np.stack((top, left, high, wide), -1).astype(np.float32)


def distorted_boxes(
    uniforms: Float64[ndarray, "*shape k"],
    height: Int64[ndarray, "*shape"],
    width: Int64[ndarray, "*shape"],
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Float[ndarray, "*shape 4"]:
    """Boxes (top, left, height, width) as SimCLR's code draws them: TensorFlow's sample_distorted_bounding_box.

    The aspect is uniform, and so is the height, between those of the smallest and the largest area that fit. A box of
    less than `COVERED` of the image is drawn again; if none of ten attempts (there a hundred) serves, the whole image
    is taken.
    """
    tall, aspect = np.split(uniforms[..., len(COLUMNS) :], 2, axis=-1)
    aspect = _between(aspect, *ratio)
    whole, height, width = (height * width)[..., None], height[..., None], width[..., None]
    low, high = (np.rint(np.sqrt(share * whole / aspect)) for share in scale)
    high = np.minimum(np.minimum(high, np.floor((width + 0.5 - 1e-7) / aspect)), height)
    low = np.minimum(low, high)
    high = low + np.floor(tall * (high - low + 1))
    high = high + (high * np.rint(high * aspect) < scale[0] * whole)  # rounding alone must not make it fail
    high = high - (high * np.rint(high * aspect) > scale[1] * whole)
    wide = np.rint(high * aspect)
    share = high * wide / whole
    fits = (max(scale[0], COVERED) <= share) & (share <= scale[1]) & (wide <= width) & (high <= height)
    first, found = fits.argmax(-1)[..., None], fits.any(-1)[..., None]
    high = np.where(found, np.take_along_axis(high, first, -1), height)
    wide = np.where(found, np.take_along_axis(wide, first, -1), width)
    top = np.floor(column(uniforms, "top")[..., None] * (height - high))
    left = np.floor(column(uniforms, "left")[..., None] * (width - wide))
    return np.concatenate((top, left, high, wide), -1).astype(np.float32)


BOXES: dict[CropLike, Callable[..., ndarray]] = {
    "torchvision": resized_crop_boxes,
    "byol": clipped_boxes,
    "simclr": distorted_boxes,
}


def grid_cells(boxes: Float[ndarray, "cells *shape 4"], grid: int, overlap: float) -> Float[ndarray, "cells *shape 4"]:
    """Cell c of a grid × grid over box c, whole pixels; neighbours share `overlap` of their side."""
    row, col = (place.reshape(-1, *[1] * (boxes.ndim - 2)) for place in np.divmod(np.arange(grid**2), grid))
    top, left, height, width = np.moveaxis(boxes, -1, 0)
    sides = 1 + (grid - 1) * (1 - overlap)  # of a cell, along the box
    high, wide = (np.maximum(np.floor(side / sides), 1) for side in (height, width))
    steps = max(grid - 1, 1)
    down, right = np.rint(row * (height - high) / steps), np.rint(col * (width - wide) / steps)
    return np.stack((top + down, left + right, high, wide), -1).astype(np.float32)


def _boxes(group: ViewSizePreset, uniforms: ndarray, height: ndarray, width: ndarray) -> ndarray:
    draw = BOXES[group.crop_like]
    if not group.grid:
        return draw(uniforms, height, width, group.scale, group.ratio)
    shared = np.broadcast_to(uniforms[:1], uniforms.shape)
    return grid_cells(draw(shared, height, width, group.scale, group.ratio), group.grid, group.overlap)


def _sides(
    area: ndarray, aspect: ndarray, whole: ndarray, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[ndarray, ndarray]:
    """Height and width of boxes by two uniforms: a share of the whole area, and the logarithm of width / height."""
    area = whole * _between(area, *scale)
    aspect = np.exp(_between(aspect, np.log(ratio[0]), np.log(ratio[1])))
    return np.rint(np.sqrt(area / aspect)), np.rint(np.sqrt(area * aspect))


def _central_box(height: ndarray, width: ndarray, ratio: tuple[float, float]) -> tuple[ndarray, ndarray]:
    narrow, broad = width / height < ratio[0], width / height > ratio[1]
    high = np.where(narrow, np.rint(width / ratio[0]), height)
    wide = np.where(broad, np.rint(height * ratio[1]), width)
    return np.clip(high, 1, height), np.clip(wide, 1, width)


def _group_parameters(group: ViewSizePreset, uniforms: ndarray, height: ndarray, width: ndarray) -> dict[str, ndarray]:
    jittered = column(uniforms, "jitter") < group.jitter_probability
    blurred = column(uniforms, "blur") < np.array(group.blur_probabilities)[:, None]
    sigma = _between(column(uniforms, "sigma"), *group.blur_sigma)

    def factor(name: str, strength: float) -> ndarray:
        drawn = _between(column(uniforms, name), max(0.0, 1 - strength), 1 + strength)
        return np.where(jittered, drawn, 1.0).astype(np.float32)

    hue = np.where(jittered, _between(column(uniforms, "hue"), -group.hue, group.hue), 0.0)
    order = _orders()[(column(uniforms, "order") * 24).astype(np.int64)]
    return {
        "box": _boxes(group, uniforms, height, width),
        "flip": column(uniforms, "flip") < group.flip_probability,
        "brightness": factor("brightness", group.brightness),
        "contrast": factor("contrast", group.contrast),
        "saturation": factor("saturation", group.saturation),
        "hue": hue.astype(np.float32),
        "jitter_order": order,
        "grey": column(uniforms, "grey") < group.grey_probability,
        "blur_sigma": np.where(blurred, sigma, 0.0).astype(np.float32),
        "solarise": column(uniforms, "solarise") < np.array(group.solarise_probabilities)[:, None],
        # The order of the jitter is read off the first digits of its uniform, this seed off all of them.
        "rand_augment": (column(uniforms, "order") * 2**53 * (group.rand_augment is not None)).astype(np.int64),
    }


def _between(uniform: ndarray, low: float, high: float) -> ndarray:
    return low + uniform * (high - low)


@cache
def _orders() -> ndarray:
    return np.array(list(permutations(range(4))), dtype=np.int64)
