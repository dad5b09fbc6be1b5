"""What a method knows of a batch of views before it computes a loss, and what it knows of the step."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.encoders.encoder import BatchNorm, FeatureEncoder, encode, join_parts, parts_by_statistics
from uota.numerics import at_least_float32


@dataclass(frozen=True)
class Step:
    """Where training stands, and what is known besides the views.

    Attributes:
        number: steps done before this one.
        progress: share of training done.
        labels: of the batch's images, for methods that learn from them.
        index: of the batch's images among all, for methods with a memory of every image.
    """

    number: int = 0
    progress: float = 0.0
    labels: Int64[Tensor, " batch"] | None = None
    index: Int64[Tensor, " batch"] | None = None


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a batch, and what an arbiter may look at.

    Attributes:
        projected: the projector's output, with gradient.
        features: the encoder's output.
        early: early feature maps (views, batch, channels, height, width) in the order of views, a tensor for those that
            are alike in size.
        by_size: the views themselves, one tensor per size, the global ones first.
        targets: projections by a momentum encoder, without gradient, in the places of the first views, the global ones
            at least; only those of views that act as targets are used. None: the method has none.
    """

    projected: Float[Tensor, "views batch dim"]
    features: Float[Tensor, "views batch features"]
    early: list[Tensor]
    by_size: list[Tensor]
    targets: Float[Tensor, "targets batch dim"] | None = None

    @property
    def z(self) -> Float[Tensor, "views batch dim"]:
        """Embeddings on the unit sphere, in float32 at least."""
        return unit(self.projected)

    @property
    def globals(self) -> int:
        """Number of global views, those of the first size."""
        return len(self.by_size[0])


def embed(
    encoder: FeatureEncoder,
    projector: Callable[[Tensor], Tensor],
    views: list[Float[Tensor, "_ batch channels _ _"]],
    targets: Tensor | None = None,
    batch_norm: BatchNorm = "joint",
) -> Embedded:
    """Encode and project all views; `batch_norm` says which of them share batch statistics."""
    features, early = encode(encoder, views, batch_norm)
    return Embedded(project(projector, features, batch_norm), features, early, views, targets)


def project(
    projector: Callable[[Tensor], Tensor],
    features: Float[Tensor, "views batch features"],
    batch_norm: BatchNorm = "joint",
) -> Float[Tensor, "views batch dim"]:
    """Apply a head to all views in one batch (joint), or to each view by itself (per_view)."""
    made = [projector(part.flatten(0, 1)) for part in parts_by_statistics(features, batch_norm)]
    return join_parts(made).unflatten(0, features.shape[:2])


def unit(x: Float[Tensor, "*rows dim"]) -> Float[Tensor, "*rows dim"]:
    """Rows on the unit sphere, in float32 at least."""
    return normalize(at_least_float32(x), dim=-1)
