"""Operations on the colours of many views at once, in place, each with its own value; on any device."""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from uota.views.parameters import BRIGHTNESS, CONTRAST, HUE, SATURATION
from uota.views.view_preset import ColourLike

GREY = (0.2989, 0.587, 0.114)  # torchvision's luma weights
HEXAGON = (3 / 6, 5 / 6, 1 / 6)  # hues of cyan, magenta, yellow (complements of R, G, B)

Work = Callable[[Tensor, Tensor], object]


@cache
def on_device(device: torch.device, *values: float) -> Float[Tensor, "channels 1 1"]:
    """A number per channel on a device, copied there only once, as a copy waits for the device."""
    return torch.tensor(values, device=device)[:, None, None]


def _brightness_(x: Tensor, factor: Tensor) -> None:
    x.mul_(factor).clamp_(0, 1)


def _contrast_(x: Tensor, factor: Tensor) -> None:
    mean = _luma(x.mean((-2, -1), keepdim=True))
    x.mul_(factor).add_(mean.mul_(1 - factor)).clamp_(0, 1)


def scale_(x: Tensor, values: Tensor) -> None:
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


def grey_(x: Tensor, _: Tensor) -> None:
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
    distance = place - on_device(x.device, *HEXAGON)
    distance.sub_(distance.round()).abs_().mul_(-6).add_(2).clamp_(0, 1).mul_(chroma)
    torch.sub(high, distance, out=x)


def solarise_(x: Tensor, _: Tensor, threshold: float) -> None:
    x.copy_(torch.where(x >= threshold, 1 - x, x))


_TORCHVISION: dict[int, Work] = {
    BRIGHTNESS: _brightness_,
    CONTRAST: _contrast_,
    SATURATION: _saturation_,
    HUE: _hue_,
}
_SIMCLR = _TORCHVISION | {CONTRAST: _channel_contrast_, SATURATION: _hsv_saturation_}
JITTER: dict[ColourLike, dict[int, Work]] = {
    "torchvision": _TORCHVISION,
    "simclr": _SIMCLR,
    "byol": _SIMCLR | {BRIGHTNESS: _shift_},
}
