"""What an arbiter may look at: always detached, one vector per view."""

import torch
from jaxtyping import Float
from torch import Tensor

from uota.arbitration.thumbnails import pooled, thumbnails
from uota.methods.embedded import Embedded

EARLY_SIDE = 4


def early_and_late(embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """An early feature map pooled to 4×4, beside the encoder's output."""
    early = torch.cat([pooled(maps.detach(), EARLY_SIDE) for maps in embedded.early])
    return torch.cat([early, embedded.features.detach()], dim=-1)


def look(at: str, embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """What an arbiter that looks at `thumbnails`, `features` or `embeddings` sees."""
    if at == "thumbnails":
        return thumbnails(embedded.groups)
    return early_and_late(embedded) if at == "features" else embedded.z.detach()
