"""Colour jitter, blur and normalisation of many views at once, each with its own parameters and order.

On a CPU, views are processed in chunks that fit in a core's cache, and on another device all at once; an operation
touches only the views that need it. Values equal torchvision's float operations applied view by view, or those of
TensorFlow or Pillow if the preset asks for them.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Num, UInt8
from numpy import ndarray
from torch import Tensor

from uota.views.blur import blur_, box_reach
from uota.views.colours import JITTER, Work, grey_, on_device, scale_, solarise_
from uota.views.operations import Operation, Plan
from uota.views.parameters import BRIGHTNESS, CONTRAST, ViewParameters
from uota.views.rand_augment import rand_augment_
from uota.views.view_preset import ColourLike, ViewSizePreset

ALONE = 16_000  # number of values from which a view is processed alone: copying selected views would cost more
CHUNK = 160_000  # number of values of smaller views processed at a time; fits in a core's cache
COLOURLESS = (BRIGHTNESS, CONTRAST)  # the jitter operations that change a grey view

Crops = UInt8[Tensor, "n channels size size"] | Float[Tensor, "n channels size size"]


class Step(NamedTuple):
    """A step in the making of n views.

    Attributes:
        work: operation on views in place, given a value for each.
        needed: which of the n views need it.
        values: value of each of the n views.
        on_cpu: whether only a CPU can do it.
    """

    work: Work
    needed: Bool[ndarray, " n"]
    values: Num[ndarray, " n *rest"]
    on_cpu: bool = False


def photometric(
    crops: Crops, parameters: ViewParameters, preset: ViewSizePreset, mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "n channels size size"]:
    """Jitter, turn grey, blur, solarise and augment in the preset's order, then normalise, on the CPU.

    n is the flattened (views, batch) of `parameters`. uint8 crops range from 0 to 255; float crops range from 0 to 1
    and are overwritten.
    """
    return _in_chunks(crops, _steps(parameters, preset, crops.shape[1], tuple(mean), tuple(std)))


def plan_photometric(
    crops: Crops, parameters: ViewParameters, preset: ViewSizePreset, mean: Sequence[float], std: Sequence[float]
) -> tuple[Crops, Plan]:
    """Leave to `finish_photometric` on any device what need not be done on the CPU.

    Returns:
        The crops, and the plan of what remains. RandAugment works on Pillow's images, so that it and what precedes it
        is done; its pixels are whole numbers, and come as uint8.
    """
    steps = _steps(parameters, preset, crops.shape[1], tuple(mean), tuple(std))
    done = max((place for place, step in enumerate(steps, 1) if step.on_cpu), default=0)
    if done:
        crops = _in_chunks(crops, steps[:done]).mul_(255).round_().to(torch.uint8)
    whole = slice(0, len(crops))
    return crops, Plan.of([operation for step in steps[done:] for operation in _operations(step, whole)])


def finish_photometric(crops: Crops, plan: Plan) -> Float[Tensor, "n channels size size"]:
    """Make views of crops, all at once, on the device that they are on; float crops are overwritten."""
    out = crops if crops.is_floating_point() else crops.float().mul_(1 / 255)
    for operation in plan.operations():
        operation.apply(out)
    return out


def _in_chunks(crops: Tensor, steps: Sequence[Step]) -> Tensor:
    out = crops if crops.is_floating_point() else torch.empty(crops.shape)
    size = 1 if crops[0].numel() >= ALONE else CHUNK // crops[0].numel()
    for start in range(0, len(crops), size):
        part = slice(start, start + size)
        chunk = out[part]
        if chunk.dtype != crops.dtype:
            chunk.copy_(crops[part]).mul_(1 / 255)
        for step in steps:
            for operation in _operations(step, part):
                operation.apply(chunk)
    return out


def normalise(
    x: Float[Tensor, "*rest channels height width"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "*rest channels height width"]:
    """Compute (x - mean) / std per channel, in place."""
    scale, offset = _normalisation(mean, std)
    return x.mul_(scale).add_(offset)


def unnormalise(
    views: Float[Tensor, "*rest channels height width"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "*rest channels height width"]:
    """Convert normalised views back to pixels in [0, 1] for display."""
    scale, offset = _normalisation(mean, std)
    return ((views - offset.to(views)) / scale.to(views)).clamp_(0, 1)


def _normalisation(mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    scale = 1 / torch.tensor(std)[:, None, None]
    return scale, -torch.tensor(mean)[:, None, None] * scale


def _steps(
    parameters: ViewParameters,
    preset: ViewSizePreset,
    channels: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> list[Step]:
    """Return the operations on the flattened views, in order; colour operations skip grey views."""
    sigma, solarise = parameters.blur_sigma.flatten().numpy(), parameters.solarise.flatten().numpy()
    seeds = parameters.rand_augment.flatten().numpy()
    operations, magnitude = preset.rand_augment or (0, 0)
    augment = partial(rand_augment_, operations=operations, magnitude=magnitude, mean=mean)
    blur = partial(blur_, like=preset.blur_like, kernel=preset.blur_kernel, reach=box_reach(preset.blur_sigma[1]))
    made: dict[str, list[Step]] = {
        "jitter": _jitter(parameters, preset.colour_like, channels),
        "grey": [Step(grey_, parameters.grey.flatten().numpy() & (channels == 3), sigma)],
        "blur": [Step(blur, sigma > 0, sigma)],
        "solarise": [Step(partial(solarise_, threshold=preset.solarise_threshold), solarise, sigma)],
        "rand_augment": [Step(augment, seeds != 0, seeds, on_cpu=True)],
    }
    steps = [step for name in preset.order for step in made[name] if step.needed.any()]
    return [*steps, Step(partial(_normalise_, mean=mean, std=std), np.ones(len(sigma), dtype=bool), sigma)]


def _jitter(parameters: ViewParameters, like: ColourLike, channels: int) -> list[Step]:
    """Return four rounds of four operations (two for grey views); each view takes part in one operation a round."""
    if channels == 1 and like == "torchvision":
        return grey_jitter(parameters)
    p = parameters
    factors = [values.flatten().numpy() for values in (p.brightness, p.contrast, p.saturation, p.hue)]
    changed = [values != neutral for values, neutral in zip(factors, (1, 1, 1, 0), strict=True)]
    orders = p.jitter_order.flatten(0, 1).numpy()
    operations = JITTER[like] if channels == 3 else {code: JITTER[like][code] for code in COLOURLESS}
    return [
        Step(work, (orders[:, place] == code) & changed[code], factors[code])
        for place in range(4)
        for code, work in operations.items()
    ]


def grey_jitter(parameters: ViewParameters) -> list[Step]:
    """Return two rounds, each of which changes brightness or contrast of all views in one operation."""
    orders = parameters.jitter_order.flatten(0, 1).numpy()
    brightness, contrast = parameters.brightness.flatten().numpy(), parameters.contrast.flatten().numpy()
    changed = (brightness != 1) | (contrast != 1)
    contrast_first = (orders == CONTRAST).argmax(1) < (orders == BRIGHTNESS).argmax(1)
    rounds = ((turn, np.where(turn, contrast, brightness)) for turn in (contrast_first, ~contrast_first))
    return [Step(scale_, changed, np.stack((factor, turn), 1).astype(np.float32)) for turn, factor in rounds]


def _operations(step: Step, part: slice) -> list[Operation]:
    """Return what a step does to a part of the views: one operation, or none if no view needs it."""
    needed, values = step.needed[part], step.values[part]
    count = np.count_nonzero(needed)
    if not count:
        return []
    if count == len(needed):
        return [Operation(step.work, None, torch.from_numpy(values)[:, None, None, None])]
    rows = torch.from_numpy(needed.nonzero()[0])
    return [Operation(step.work, rows, torch.from_numpy(values[needed])[:, None, None, None])]


def _normalise_(x: Tensor, _: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    offset = (-centre / spread for centre, spread in zip(mean, std, strict=True))
    x.mul_(on_device(x.device, *(1 / spread for spread in std))).add_(on_device(x.device, *offset))
