"""What a method knows of a batch of views before it computes a loss."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


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
