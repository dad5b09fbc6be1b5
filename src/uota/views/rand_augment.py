"""torchvision's RandAugment (Cubuk et al., 2020), each view with a seed of its own."""

import torch
from jaxtyping import Int64
from torch import Tensor
from torchvision.transforms.v2 import RandAugment


def rand_augmented(crops: Tensor, seeds: Int64[Tensor, "views batch"], operations: int, magnitude: int) -> Tensor:
    """Views after RandAugment, as uint8: one by one, since each has operations of its own.

    Args:
        crops: (n, channels, size, size), uint8, or floats in [0, 1]; n is the flattened (views, batch).
        seeds: of each view's operations.
        operations, magnitude: how many, and how strong, 0 to 30.
    """
    if crops.is_floating_point():
        crops = crops.mul(255).round_().to(torch.uint8)
    augment = RandAugment(operations, magnitude)
    out = []
    with torch.random.fork_rng(devices=[]):
        for crop, seed in zip(crops, seeds.flatten().tolist(), strict=True):
            torch.manual_seed(seed)
            out.append(augment(crop))
    return torch.stack(out)
