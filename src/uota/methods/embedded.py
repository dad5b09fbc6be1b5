"""What a method knows of a batch of views before it computes a loss."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from uota.nn.encoder import Encoder, encode
from uota.precision import at_least_float32


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a batch, and what an arbiter may look at.

    Attributes:
        z: projected, normalised embeddings, with gradient.
        features: the encoder's output.
        early: early feature maps (views of a size, batch, channels, height, width), one tensor per view size.
    """

    z: Float[Tensor, "views batch dim"]
    features: Float[Tensor, "views batch features"]
    early: list[Tensor]


def embed(
    encoder: Encoder, projector: Callable[[Tensor], Tensor], groups: list[Float[Tensor, "_ batch channels _ _"]]
) -> Embedded:
    """All views encoded, projected and put on the unit sphere."""
    features, early = encode(encoder, groups)
    z = projector(features.flatten(0, 1)).unflatten(0, features.shape[:2])
    return Embedded(normalize(at_least_float32(z), dim=-1), features, early)
