"""Colour jitter, blur and normalisation of many views at once, each with its own parameters and order.

Views are processed in place, in chunks that fit in a core's cache; within a chunk an operation touches only the views
that need it. Values equal torchvision's float operations applied view by view, or TensorFlow's or Pillow's if the
preset asks for them.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from uota.views.parameters import BRIGHTNESS, CONTRAST, HUE, SATURATION, ViewParameters
from uota.views.rand_augment import rand_augment_
from uota.views.view_preset import BlurLike, ColourLike, ViewSizePreset

ALONE = 16_000  # number of values from which a view is processed alone: copying selected views would cost more
CHUNK = 160_000  # number of values of smaller views processed at a time; fits in a core's cache
TILE = 32  # rows of a banded blur matrix multiplied at a time, skipping the zeros outside the band
PASSES = 3  # passes of Pillow's box blur
COLOURLESS = (BRIGHTNESS, CONTRAST)  # the jitter operations that change a grey view
GREY = (0.2989, 0.587, 0.114)  # torchvision's luma weights
HEXAGON = torch.tensor([3.0, 5.0, 1.0])[:, None, None] / 6  # hues of cyan, magenta, yellow (complements of R, G, B)

Work = Callable[[Tensor, Tensor], object]
Step = tuple[Work, ndarray, ndarray]  # an in-place operation, which of the n views need it, and a value for each view


def photometric(
    crops: UInt8[Tensor, "n channels size size"] | Float[Tensor, "n channels size size"],
    parameters: ViewParameters,
    preset: ViewSizePreset,
    mean: Sequence[float],
    std: Sequence[float],
) -> Float[Tensor, "n channels size size"]:
    """Jitter, turn grey, blur, solarise and augment in the preset's order, then normalise.

    n is the flattened (views, batch) of `parameters`. uint8 crops range from 0 to 255; float crops range from 0 to 1
    and are overwritten.
    """
    out = crops if crops.is_floating_point() else torch.empty(crops.shape)
    steps = _steps(parameters, preset, crops.shape[1], tuple(mean))
    scale, offset = _normalisation(mean, std)
    size = 1 if crops[0].numel() >= ALONE else CHUNK // crops[0].numel()
    for start in range(0, len(crops), size):
        part = slice(start, start + size)
        chunk = out[part]
        if chunk.dtype != crops.dtype:
            chunk.copy_(crops[part]).mul_(1 / 255)
        for work, needed, values in steps:
            _apply(chunk, work, needed[part], values[part])
        chunk.mul_(scale).add_(offset)
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


def _steps(parameters: ViewParameters, preset: ViewSizePreset, channels: int, mean: tuple[float, ...]) -> list[Step]:
    """Return the operations on the flattened views, in order; colour operations skip grey views."""
    sigma, solarise = parameters.blur_sigma.flatten().numpy(), parameters.solarise.flatten().numpy()
    seeds = parameters.rand_augment.flatten().numpy()
    operations, magnitude = preset.rand_augment or (0, 0)
    augment = partial(rand_augment_, operations=operations, magnitude=magnitude, mean=mean)
    made: dict[str, list[Step]] = {
        "jitter": _jitter(parameters, preset.colour_like, channels),
        "grey": [(_grey_, parameters.grey.flatten().numpy() & (channels == 3), sigma)],
        "blur": [(partial(_blur_, like=preset.blur_like, kernel=preset.blur_kernel), sigma > 0, sigma)],
        "solarise": [(partial(_solarise_, threshold=preset.solarise_threshold), solarise, sigma)],
        "rand_augment": [(augment, seeds != 0, seeds)],
    }
    return [step for name in preset.order for step in made[name] if step[1].any()]


def _jitter(parameters: ViewParameters, like: ColourLike, channels: int) -> list[Step]:
    """Return four rounds of four operations (two for grey views); each view takes part in one operation a round."""
    if channels == 1 and like == "torchvision":
        return _grey_jitter(parameters)
    p = parameters
    factors = [values.flatten().numpy() for values in (p.brightness, p.contrast, p.saturation, p.hue)]
    changed = [values != neutral for values, neutral in zip(factors, (1, 1, 1, 0), strict=True)]
    orders = p.jitter_order.flatten(0, 1).numpy()
    operations = _OPERATIONS[like] if channels == 3 else {code: _OPERATIONS[like][code] for code in COLOURLESS}
    return [
        (work, (orders[:, place] == code) & changed[code], factors[code])
        for place in range(4)
        for code, work in operations.items()
    ]


def _grey_jitter(parameters: ViewParameters) -> list[Step]:
    """Return two rounds, each of which changes brightness or contrast of all views in one operation."""
    orders = parameters.jitter_order.flatten(0, 1).numpy()
    brightness, contrast = parameters.brightness.flatten().numpy(), parameters.contrast.flatten().numpy()
    changed = (brightness != 1) | (contrast != 1)
    contrast_first = (orders == CONTRAST).argmax(1) < (orders == BRIGHTNESS).argmax(1)
    rounds = ((turn, np.where(turn, contrast, brightness)) for turn in (contrast_first, ~contrast_first))
    return [(_scale_, changed, np.stack((factor, turn), 1).astype(np.float32)) for turn, factor in rounds]


def _apply(x: Tensor, work: Work, needed: ndarray, values: ndarray) -> None:
    """Apply `work(views, values)` to the views that need it; they are copied only if some views do not."""
    count = np.count_nonzero(needed)
    if not count:
        return
    if count == len(needed):
        work(x, torch.from_numpy(values)[:, None, None, None])
        return
    rows = torch.from_numpy(needed.nonzero()[0])
    part = x[rows]
    work(part, torch.from_numpy(values[needed])[:, None, None, None])
    x[rows] = part


def _brightness_(x: Tensor, factor: Tensor) -> None:
    x.mul_(factor).clamp_(0, 1)


def _contrast_(x: Tensor, factor: Tensor) -> None:
    mean = _luma(x.mean((-2, -1), keepdim=True))
    x.mul_(factor).add_(mean.mul_(1 - factor)).clamp_(0, 1)


def _scale_(x: Tensor, values: Tensor) -> None:
    """Scale contrast (around the mean) where the second value is 1, brightness (around black) where it is 0."""
    factor, around_mean = values.unbind(-1)
    mean = x.mean((-2, -1), keepdim=True)
    x.mul_(factor).add_(mean.mul_(1 - factor).mul_(around_mean)).clamp_(0, 1)


def _saturation_(x: Tensor, factor: Tensor) -> None:
    grey = _luma(x).mul_(1 - factor)
    x.mul_(factor).add_(grey).clamp_(0, 1)


def _shift_(x: Tensor, factor: Tensor) -> None:
    x.add_(factor - 1).clamp_(0, 1)


def _channel_contrast_(x: Tensor, factor: Tensor) -> None:
    mean = x.mean((-2, -1), keepdim=True)
    x.sub_(mean).mul_(factor).add_(mean).clamp_(0, 1)


def _hsv_saturation_(x: Tensor, factor: Tensor) -> None:
    """Scale each channel's distance from the highest one, by a factor limited so that the lowest stays at least 0."""
    high = x.amax(1, keepdim=True)
    chroma = (high - x.amin(1, keepdim=True)).clamp_(min=1e-12)
    x.sub_(high).mul_(torch.minimum(high / chroma, factor)).add_(high)


def _grey_(x: Tensor, _: Tensor) -> None:
    x.copy_(_luma(x))


def _luma(x: Tensor) -> Tensor:
    """Compute the luma (n, 1, height, width) of RGB views."""
    return (x[:, :1] * GREY[0]).add_(x[:, 1:2], alpha=GREY[1]).add_(x[:, 2:], alpha=GREY[2])


def _hue_(x: Tensor, turns: Tensor) -> None:
    """Shift the hue in HSV; value and chroma do not change, so only the position on the hue hexagon is computed.

    On a hexagon of circumference 6 (red 0, green 2, blue 4), a channel is below the highest channel by
    chroma * clamp(2 - distance, 0, 1), where distance is that of the hue from the channel's complement. Conversely,
    the hue's distance from red is 2 + (G + B - R - highest) / chroma, on the green side if G >= B. This form avoids
    comparisons and torch.where, which are slow on a CPU.
    """
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    high = torch.maximum(red, green)
    torch.maximum(high, blue, out=high)
    low = torch.minimum(red, green)
    torch.minimum(low, blue, out=low)
    chroma = torch.sub(high, low, out=low)
    place = (green + blue).sub_(red).sub_(high).div_(chroma.clamp(min=1e-12)).add_(2)
    place.copysign_(green - blue).mul_(1 / 6).add_(turns)
    distance = place - HEXAGON
    distance.sub_(distance.round()).abs_().mul_(-6).add_(2).clamp_(0, 1).mul_(chroma)
    torch.sub(high, distance, out=x)


def _solarise_(x: Tensor, _: Tensor, threshold: float) -> None:
    x.copy_(torch.where(x >= threshold, 1 - x, x))


def _blur_(x: Tensor, sigma: Tensor, like: BlurLike, kernel: int) -> None:
    """Blur separably by products with banded matrices, along rows and then along columns."""
    size = x.shape[-1]
    if like == "pillow":
        band, radius = box_blur_matrices(sigma.flatten(), size)
    else:
        band, radius = blur_matrices(sigma.flatten(), kernel, size, like == "torchvision"), kernel // 2
    wide, across = x.flatten(1, 2), torch.empty_like(x)
    for start in range(0, size, TILE):
        made, read = slice(start, start + TILE), slice(max(0, start - radius), start + TILE + radius)
        across.flatten(1, 2)[:, :, made] = torch.bmm(wide[:, :, read], band[:, made, read].mT)
    for start in range(0, size, TILE):
        made, read = slice(start, start + TILE), slice(max(0, start - radius), start + TILE + radius)
        x[:, :, made] = torch.matmul(band[:, None, made, read], across[:, :, read])


def blur_matrices(
    sigma: Float[Tensor, " n"], kernel: int, size: int, reflect: bool = True
) -> Float[Tensor, "n size size"]:
    """Return matrices that blur a line of `size` pixels with a Gaussian of `kernel` (odd) taps.

    Beyond its borders the line is reflected, or black if `reflect` is false.
    """
    radius = kernel // 2
    taps = torch.arange(-radius, radius + 1, dtype=sigma.dtype)
    weights = torch.softmax(-(taps**2) / (2 * sigma[:, None] ** 2), -1)
    pixel = torch.arange(size)[:, None] + torch.arange(-radius, radius + 1)
    shape = (len(sigma), size, kernel)
    weights = weights[:, None].expand(shape)
    if not reflect:
        weights = weights * ((pixel >= 0) & (pixel < size))
    pixel = size - 1 - (size - 1 - pixel.abs()).abs()
    matrices = torch.zeros(len(sigma), size, size, dtype=sigma.dtype)
    return matrices.scatter_add_(2, pixel.expand(shape), weights)


def box_blur_matrices(sigma: Float[Tensor, " n"], size: int) -> tuple[Float[Tensor, "n size size"], int]:
    """Return matrices that blur a line of `size` pixels as Pillow's GaussianBlur does, and their bandwidth.

    Pillow makes three passes of a box whose two end pixels have fractional weights, so that the variance is that of the
    Gaussian (Gwosdek et al. 2011, Theoretical Foundations of Gaussian Convolution by Extended Box Filtering); each pass
    repeats the border pixel.
    """
    box = _box_radius(sigma)
    reach = int(box.max()) + 1
    far = PASSES * reach
    line = min(size, 2 * far + 1)  # long enough for all distinct rows: those near a border, and one in the interior
    taps = torch.arange(-reach, reach + 1)
    weights = (box[:, None] + 1 - taps.abs()).clamp(0, 1) / (2 * box[:, None] + 1)
    pixel = (torch.arange(line)[:, None] + taps).clamp(0, line - 1).expand(len(sigma), -1, -1)
    once = torch.zeros(len(sigma), line, line, dtype=sigma.dtype)
    once.scatter_add_(2, pixel, weights[:, None].expand(pixel.shape))
    short = torch.linalg.matrix_power(once, PASSES)
    row = torch.arange(size)
    alike = row.clamp(max=far).maximum(row - size + line)
    place = ((row - alike)[:, None] + torch.arange(line)).expand(len(sigma), -1, -1)
    return torch.zeros(len(sigma), size, size, dtype=sigma.dtype).scatter_(2, place, short[:, alike]), far


def _box_radius(sigma: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return the fractional radius of the box that gives this standard deviation after all passes."""
    variance = sigma**2 / PASSES
    whole = (((12 * variance + 1).sqrt() - 1) / 2).floor()
    fraction = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) ** 2))
    return whole + fraction


_TORCHVISION: dict[int, Work] = {
    BRIGHTNESS: _brightness_,
    CONTRAST: _contrast_,
    SATURATION: _saturation_,
    HUE: _hue_,
}
_SIMCLR = _TORCHVISION | {CONTRAST: _channel_contrast_, SATURATION: _hsv_saturation_}
_OPERATIONS: dict[ColourLike, dict[int, Work]] = {
    "torchvision": _TORCHVISION,
    "simclr": _SIMCLR,
    "byol": _SIMCLR | {BRIGHTNESS: _shift_},
}
