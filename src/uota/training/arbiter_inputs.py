"""Inputs of arbiters: one vector per view, always detached."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from uota.arbitration.thumbnails import pooled, thumbnails
from uota.encoders.encoder import EARLY_SIDE
from uota.methods.embedded import Embedded


def early_and_late(embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """Concatenate an early feature map, pooled to 4×4, and the encoder's output."""
    early = torch.cat([pooled(maps.detach(), EARLY_SIDE) for maps in embedded.early])
    return torch.cat([early, embedded.features.detach()], dim=-1)


def thumbnails_and_features(embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """Concatenate both at equal norm: thumbnails are useful from the first step, and features know more later."""
    return torch.cat([normalize(ARBITER_INPUTS[name](embedded), dim=-1) for name in ("thumbnails", "features")], dim=-1)


ARBITER_INPUTS: dict[str, Callable[[Embedded], Tensor]] = {
    "thumbnails": lambda embedded: thumbnails(embedded.by_size, check_finite=False),
    "features": early_and_late,
    "both": thumbnails_and_features,
    "embeddings": lambda embedded: embedded.z.detach(),
}


def arbiter_input(name: str, embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """Compute one of `ARBITER_INPUTS`."""
    return ARBITER_INPUTS[name](embedded)
