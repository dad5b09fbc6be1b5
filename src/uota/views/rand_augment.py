"""RandAugment (Cubuk et al. 2020) by timm, as used in InfoMin, with one seed per view."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

PROBABILITY = 0.5  # probability of each operation: timm's default, and InfoMin's
NOISE = 0.5  # standard deviation of the magnitude


def rand_augment_(
    x: Float[Tensor, "n channels size size"],
    seeds: Int64[Tensor, "n 1 1 1"],
    operations: int,
    magnitude: int,
    mean: tuple[float, ...],
) -> None:
    """Augment views in place, one by one, since each has its own operations; pixels are rounded to 8 bits.

    Args:
        x: views with pixels in [0, 1].
        seeds: one seed per view.
        operations: number of operations.
        magnitude: strength of the operations, 0 to 10.
        mean: colour in [0, 1] of pixels that a shift or a rotation uncovers.
    """
    augment = build_rand_augment(operations, magnitude, mean)
    with preserve_global_generators():
        for view, seed in zip(x, seeds.flatten().tolist(), strict=True):
            random.seed(seed)
            np.random.seed([seed % 2**32, seed >> 32])
            made = augment(to_pil_image(view.mul(255).round_().to(torch.uint8)))
            view.copy_(pil_to_tensor(made)).mul_(1 / 255)


@cache
def build_rand_augment(operations: int, magnitude: int, mean: tuple[float, ...]) -> Any:
    """Return timm's RandAugment with the published probability and noise of its operations."""
    from timm.data.auto_augment import rand_augment_transform  # takes a second to import, and few presets need it

    colour = tuple(min(255, round(255 * value)) for value in mean)
    fill = colour if len(colour) == 3 else colour[0]
    options = f"rand-n{operations}-m{magnitude}-p{PROBABILITY}-mstd{NOISE}"
    return rand_augment_transform(options, {"img_mean": fill})


@contextmanager
def preserve_global_generators() -> Iterator[None]:
    """Restore the state of Python's and NumPy's global generators, which timm draws from."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
