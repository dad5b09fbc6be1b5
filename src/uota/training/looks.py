"""What an arbiter may look at: always detached, one vector per view."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from uota.methods.embedded import Embedded
from uota.precision import at_least_float32

THUMBNAIL = 12
EARLY_SIDE = 4


def thumbnails(groups: list[Float[Tensor, "_ batch channels _ _"]]) -> Float[Tensor, "views batch dim"]:
    """Every view shrunk to 12×12 pixels; no encoder is involved."""
    return torch.cat([_pooled(views.detach(), THUMBNAIL) for views in groups])


def early_and_late(embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """An early feature map pooled to 4×4, beside the encoder's output."""
    early = torch.cat([_pooled(maps.detach(), EARLY_SIDE) for maps in embedded.early])
    return torch.cat([early, embedded.features.detach()], dim=-1)


def look(at: str, embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """What an arbiter that looks at `thumbnails`, `features` or `embeddings` sees."""
    if at == "thumbnails":
        return thumbnails(embedded.groups)
    return early_and_late(embedded) if at == "features" else embedded.z.detach()


def _pooled(images: Tensor, side: int) -> Tensor:
    pooled = adaptive_avg_pool2d(at_least_float32(images.flatten(0, 1)), side)
    return pooled.flatten(1).unflatten(0, images.shape[:2])
