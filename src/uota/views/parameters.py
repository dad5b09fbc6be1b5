"""Augmentation parameters of each view, drawn from torchvision's distributions with randomness per sample.

The parameters of a sample's views depend on (seed, epoch, index) alone, so that a view is the same in any batch, in any
worker, on any rank, and after a resumption.
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
from uota.views.view_preset import CropLike, ViewPreset, ViewSizePreset

ATTEMPTS = 10  # attempts of torchvision's RandomResizedCrop before it falls back to the centre
COVERED = 0.1  # smallest share of the image that a SimCLR crop may have (min_object_covered)
# The purpose of each uniform of a view; those after them are areas and aspect ratios of crop attempts.
COLUMNS = (
    *("top", "left", "flip", "jitter", "brightness", "contrast", "saturation", "hue", "order"),
    *("grey", "blur", "sigma", "solarise", "injected", "other_item"),
)
UNIFORMS = len(COLUMNS) + 2 * ATTEMPTS
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # torchvision's codes in jitter_order


@dataclass
class ViewParameters:
    """The augmentations of each view, in the order of application; every field is (views, batch).

    Attributes:
        image: index in the source of the image that the view shows: another than requested if the view is injected, one
            of the item's images if the source is grouped.
        image_size: height and width of that image in pixels.
        box: crop box in source pixels, (top, left, height, width), whole numbers as float32.
        flip: whether the view is mirrored left to right.
        brightness: factor of brightness, 1 for no change (with BYOL's colours, brightness - 1 is added).
        contrast: factor of contrast, 1 for no change.
        saturation: factor of saturation, 1 for no change.
        hue: shift of hue in turns, 0 for no change.
        jitter_order: order in which these four were applied: 0 brightness, 1 contrast, 2 saturation, 3 hue.
        grey: whether the view is turned grey.
        blur_sigma: standard deviation of the Gaussian blur in pixels of the view, 0 for no blur.
        solarise: whether pixels above the preset's threshold are inverted.
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

    def __getitem__(self, views: slice | Tensor | tuple[slice | Tensor, Tensor]) -> "ViewParameters":
        """Select the parameters of some views, e.g. `parameters[:2]`, `[views, images]` or `[:, images]`."""
        return ViewParameters(*(getattr(self, field.name)[views] for field in fields(self)))

    def each(self, change: Callable[[Tensor], Tensor]) -> "ViewParameters":
        """Return the same parameters with changed tensors, such as moved ones."""
        return ViewParameters(*(change(getattr(self, field.name)) for field in fields(self)))

    def to(self, device: torch.device | str) -> "ViewParameters":
        """Move all fields to `device`."""
        return self.each(lambda tensor: tensor.to(device))


def sample_uniforms(seed: int, samples: Sequence[tuple[int, int]], views: int) -> Float64[ndarray, "views batch k"]:
    """Draw uniforms in [0, 1) for each (epoch, index) from a Philox stream of its own."""
    if not 0 <= seed < 2**64:
        raise UotaError(f"the seed of a view pipeline is {seed}; choose one from 0 to 2^64 - 1")
    stream = np.random.Philox(key=seed)
    generator, state = np.random.Generator(stream), stream.state
    uniforms = np.empty((len(samples), views, UNIFORMS))
    for row, (epoch, index) in zip(uniforms, samples, strict=True):
        # equals Philox(key=seed, counter=[0, 0, epoch, index]) without the cost of constructing it
        state["state"]["counter"][:] = (0, 0, epoch, index)
        stream.state = state
        generator.random(out=row)
    return uniforms.transpose(1, 0, 2)


def column(uniforms: Float64[ndarray, "views batch k"], name: str) -> Float64[ndarray, "views batch"]:
    """Return the uniforms reserved for one purpose."""
    return uniforms[..., COLUMNS.index(name)]


def view_parameters(
    preset: ViewPreset,
    uniforms: Float64[ndarray, "views batch k"],
    image: Int64[Tensor, "views batch"],
    height: Int64[ndarray, "views batch"],
    width: Int64[ndarray, "views batch"],
) -> ViewParameters:
    """Convert uniforms to parameters, given the size in pixels of the image that each view is cropped from."""
    drawn: list[dict[str, ndarray]] = []
    start = 0
    for view_size in preset.sizes:
        views = slice(start, start + view_size.count)
        drawn.append(_parameters_of_size(view_size, uniforms[views], height[views], width[views]))
        start += view_size.count
    joined = {name: torch.from_numpy(np.concatenate([part[name] for part in drawn])) for name in drawn[0]}
    return ViewParameters(image, torch.from_numpy(np.stack([height, width], -1)), **joined)


def resized_crop_boxes(
    uniforms: Float64[ndarray, "*shape k"],
    height: Int64[ndarray, "*shape"],
    width: Int64[ndarray, "*shape"],
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Float[ndarray, "*shape 4"]:
    """Draw boxes (top, left, height, width) as torchvision's RandomResizedCrop does.

    The first of ten draws of area and aspect ratio that fits is used; if none fits, the largest central box with an
    allowed aspect ratio.
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
    """Draw boxes (top, left, height, width) as BYOL's code does: one area and aspect ratio, clipped to the image."""
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
    """Draw boxes (top, left, height, width) as SimCLR's code does with TensorFlow's sample_distorted_bounding_box.

    The aspect ratio is uniform; the height is uniform between those of the smallest and the largest area that fit. A
    box of less than `COVERED` of the image is drawn again; if all ten attempts (SimCLR: a hundred) fail, the whole
    image is used.
    """
    tall, aspect = np.split(uniforms[..., len(COLUMNS) :], 2, axis=-1)
    aspect = _between(aspect, *ratio)
    whole, height, width = (height * width)[..., None], height[..., None], width[..., None]
    low, high = (np.rint(np.sqrt(share * whole / aspect)) for share in scale)
    high = np.minimum(np.minimum(high, np.floor((width + 0.5 - 1e-7) / aspect)), height)
    low = np.minimum(low, high)
    high = low + np.floor(tall * (high - low + 1))
    high = high + (high * np.rint(high * aspect) < scale[0] * whole)  # correct areas that miss the range by rounding
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
    """Cut cell c of a grid × grid from box c, in whole pixels; neighbours share `overlap` of their side."""
    row, col = (place.reshape(-1, *[1] * (boxes.ndim - 2)) for place in np.divmod(np.arange(grid**2), grid))
    top, left, height, width = np.moveaxis(boxes, -1, 0)
    sides = 1 + (grid - 1) * (1 - overlap)  # side of the box, in sides of a cell
    high, wide = (np.maximum(np.floor(side / sides), 1) for side in (height, width))
    steps = max(grid - 1, 1)
    down, right = np.rint(row * (height - high) / steps), np.rint(col * (width - wide) / steps)
    return np.stack((top + down, left + right, high, wide), -1).astype(np.float32)


def _boxes(view_size: ViewSizePreset, uniforms: ndarray, height: ndarray, width: ndarray) -> ndarray:
    draw = BOXES[view_size.crop_like]
    if not view_size.grid:
        return draw(uniforms, height, width, view_size.scale, view_size.ratio)
    shared = np.broadcast_to(uniforms[:1], uniforms.shape)
    crops = draw(shared, height, width, view_size.scale, view_size.ratio)
    return grid_cells(crops, view_size.grid, view_size.overlap)


def _sides(
    area: ndarray, aspect: ndarray, whole: ndarray, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[ndarray, ndarray]:
    """Convert two uniforms to height and width of boxes: the area is uniform, and so is the log of width / height."""
    area = whole * _between(area, *scale)
    aspect = np.exp(_between(aspect, np.log(ratio[0]), np.log(ratio[1])))
    return np.rint(np.sqrt(area / aspect)), np.rint(np.sqrt(area * aspect))


def _central_box(height: ndarray, width: ndarray, ratio: tuple[float, float]) -> tuple[ndarray, ndarray]:
    narrow, broad = width / height < ratio[0], width / height > ratio[1]
    high = np.where(narrow, np.rint(width / ratio[0]), height)
    wide = np.where(broad, np.rint(height * ratio[1]), width)
    return np.clip(high, 1, height), np.clip(wide, 1, width)


def _parameters_of_size(
    view_size: ViewSizePreset, uniforms: ndarray, height: ndarray, width: ndarray
) -> dict[str, ndarray]:
    jittered = column(uniforms, "jitter") < view_size.jitter_probability
    blurred = column(uniforms, "blur") < np.array(view_size.blur_probabilities)[:, None]
    sigma = _between(column(uniforms, "sigma"), *view_size.blur_sigma)

    def factor(name: str, strength: float) -> ndarray:
        drawn = _between(column(uniforms, name), max(0.0, 1 - strength), 1 + strength)
        return np.where(jittered, drawn, 1.0).astype(np.float32)

    hue = np.where(jittered, _between(column(uniforms, "hue"), -view_size.hue, view_size.hue), 0.0)
    order = _orders()[(column(uniforms, "order") * 24).astype(np.int64)]
    return {
        "box": _boxes(view_size, uniforms, height, width),
        "flip": column(uniforms, "flip") < view_size.flip_probability,
        "brightness": factor("brightness", view_size.brightness),
        "contrast": factor("contrast", view_size.contrast),
        "saturation": factor("saturation", view_size.saturation),
        "hue": hue.astype(np.float32),
        "jitter_order": order,
        "grey": column(uniforms, "grey") < view_size.grey_probability,
        "blur_sigma": np.where(blurred, sigma, 0.0).astype(np.float32),
        "solarise": column(uniforms, "solarise") < np.array(view_size.solarise_probabilities)[:, None],
        # The order of the jitter depends on the leading bits of this uniform, the seed of RandAugment on all of them.
        "rand_augment": (column(uniforms, "order") * 2**53 * (view_size.rand_augment is not None)).astype(np.int64),
    }


def _between(uniform: ndarray, low: float, high: float) -> ndarray:
    return low + uniform * (high - low)


@cache
def _orders() -> ndarray:
    return np.array(list(permutations(range(4))), dtype=np.int64)
