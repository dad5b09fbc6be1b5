"""What an arbiter may look at: always detached, one vector per view."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from uota.arbitration.thumbnails import pooled, thumbnails
from uota.encoders.encoder import EARLY_SIDE
from uota.methods.embedded import Embedded


def early_and_late(embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """An early feature map pooled to 4×4, beside the encoder's output."""
    early = torch.cat([pooled(maps.detach(), EARLY_SIDE) for maps in embedded.early])
    return torch.cat([early, embedded.features.detach()], dim=-1)


def thumbnails_and_features(embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """Both, at the same length: thumbnails tell from the first step, features know more later."""
    return torch.cat([normalize(LOOKS[at](embedded), dim=-1) for at in ("thumbnails", "features")], dim=-1)


LOOKS: dict[str, Callable[[Embedded], Tensor]] = {
    "thumbnails": lambda embedded: thumbnails(embedded.by_size),
    "features": early_and_late,
    "both": thumbnails_and_features,
    "embeddings": lambda embedded: embedded.z.detach(),
}


def look(at: str, embedded: Embedded) -> Float[Tensor, "views batch dim"]:
    """What an arbiter sees that looks at one of `LOOKS`."""
    return LOOKS[at](embedded)
