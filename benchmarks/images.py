"""Images for the benchmarks: pictures made of noise, and the first few images of a source."""

from copy import copy
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import to_pil_image

from uota.data import TensorSource


def smooth_images(count: int, channels: int, height: int, width: int) -> Tensor:
    """Return random uint8 images with structure at several scales and some noise, like photographs."""
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(count, channels, height, width)
    for cells, strength in ((4, 0.5), (16, 0.25), (64, 0.12)):
        field = torch.rand(count, channels, cells, cells, generator=generator) - 0.5
        total += strength * interpolate(field, (height, width), mode="bicubic")
    total += 0.02 * torch.randn(total.shape, generator=generator)
    return (total * 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)


def write_pictures(folder: Path, count: int, side: int) -> Path:
    """Write PNG files in two folders, one per class, and return the folder that holds both."""
    for number, pixels in enumerate(smooth_images(count, 3, side, side)):
        place = folder / f"kind{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        to_pil_image(pixels).save(place / f"{number:03}.png")
    return folder


def first_images(source: TensorSource, count: int | None) -> TensorSource:
    """Return a source with the first `count` images only; None: all of them."""
    if count is None:
        return source
    few = copy(source)
    few.pixels, few.labels = source.pixels[:count], None if source.labels is None else source.labels[:count]
    return few
