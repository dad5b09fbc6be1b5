"""Gaussian blur of many views at once, each with its own sigma, as products with banded matrices."""

import torch
from jaxtyping import Float
from torch import Tensor

from uota.views.view_preset import BlurLike

TILE = 32  # rows of a banded blur matrix multiplied at a time, skipping the zeros outside the band
PASSES = 3  # passes of Pillow's box blur


def blur_(
    x: Float[Tensor, "n channels size size"], sigma: Float[Tensor, "n 1 1 1"], like: BlurLike, kernel: int, reach: int
) -> None:
    """Blur in place and separably, along rows and then along columns.

    Args:
        x: views.
        sigma: standard deviation of each, in pixels.
        like: whose blur it is.
        kernel: odd width of the kernel; that of Pillow depends on sigma.
        reach: `box_reach` of the largest sigma. It is a number of its own, as asking a device for it would wait for it.
    """
    size = x.shape[-1]
    if like == "pillow":
        band, radius = box_blur_matrices(sigma.flatten(), size, reach), PASSES * reach
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
    offset = torch.arange(-radius, radius + 1, device=sigma.device)
    weights = torch.softmax(-(offset.to(sigma.dtype) ** 2) / (2 * sigma[:, None] ** 2), -1)
    pixel = torch.arange(size, device=sigma.device)[:, None] + offset
    shape = (len(sigma), size, kernel)
    weights = weights[:, None].expand(shape)
    if not reflect:
        weights = weights * ((pixel >= 0) & (pixel < size))
    pixel = size - 1 - (size - 1 - pixel.abs()).abs()
    return sigma.new_zeros(len(sigma), size, size).scatter_add_(2, pixel.expand(shape), weights)


def box_blur_matrices(sigma: Float[Tensor, " n"], size: int, reach: int) -> Float[Tensor, "n size size"]:
    """Return matrices that blur a line of `size` pixels as Pillow's GaussianBlur does; `PASSES * reach` is their width.

    Pillow makes three passes of a box whose two end pixels have fractional weights, so that the variance is that of the
    Gaussian (Gwosdek et al. 2011, Theoretical Foundations of Gaussian Convolution by Extended Box Filtering); each pass
    repeats the border pixel.

    Args:
        sigma: standard deviation of each.
        size: length of a line.
        reach: `box_reach` of the largest of them, or more.
    """
    box, device = _box_radius(sigma), sigma.device
    far = PASSES * reach
    line = min(size, 2 * far + 1)  # long enough for all distinct rows: those near a border, and one in the interior
    taps = torch.arange(-reach, reach + 1, device=device)
    weights = (box[:, None] + 1 - taps.abs()).clamp(0, 1) / (2 * box[:, None] + 1)
    pixel = (torch.arange(line, device=device)[:, None] + taps).clamp(0, line - 1).expand(len(sigma), -1, -1)
    once = sigma.new_zeros(len(sigma), line, line).scatter_add_(2, pixel, weights[:, None].expand(pixel.shape))
    short = once @ once @ once
    row = torch.arange(size, device=device)
    alike = row.clamp(max=far).maximum(row - size + line)
    place = ((row - alike)[:, None] + torch.arange(line, device=device)).expand(len(sigma), -1, -1)
    return sigma.new_zeros(len(sigma), size, size).scatter_(2, place, short[:, alike])


def box_reach(sigma: float) -> int:
    """Return how many pixels to either side a box reaches that blurs with a standard deviation of up to `sigma`."""
    return int(_box_radius(torch.tensor([sigma])).item()) + 1


def _box_radius(sigma: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return the fractional radius of the box that gives this standard deviation after all passes."""
    variance = sigma**2 / PASSES
    whole = (((12 * variance + 1).sqrt() - 1) / 2).floor()
    fraction = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) ** 2))
    return whole + fraction
