"""Views as small pictures: what an arbiter can look at before any encoder has seen a view."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from uota.precision import at_least_float32

SIDE = 12


def thumbnails(groups: list[Float[Tensor, "_ batch channels _ _"]]) -> Float[Tensor, "views batch dim"]:
    """Every view shrunk to 12×12 pixels by averaging; detached.

    Args:
        groups: views, one tensor per size.
    """
    return torch.cat([pooled(views.detach(), SIDE) for views in groups])


def pooled(maps: Float[Tensor, "views batch channels _ _"], side: int) -> Float[Tensor, "views batch dim"]:
    """Pictures or feature maps averaged to side × side, a row each."""
    shrunk = adaptive_avg_pool2d(at_least_float32(maps.flatten(0, 1)), side)
    return shrunk.flatten(1).unflatten(0, maps.shape[:2])
