"""Embeddings of a batch of views, and the step of training that they belong to."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.encoders.encoder import BatchNorm, FeatureEncoder, encode, join_parts, parts_by_statistics
from uota.numerics import at_least_float32


@dataclass(frozen=True)
class Part:
    """Some images of a rank's batch, where a step embeds its batch in parts, and each of them twice.

    Attributes:
        start: index of the first of them in the batch.
        images: number of images in the whole batch.
        again: whether they are embedded for the second time, which is for their gradient alone.
    """

    start: int
    images: int
    again: bool


@dataclass(frozen=True)
class Step:
    """The state of training, and what is known of a batch besides its views.

    Attributes:
        number: number of steps done before this one.
        progress: share of training done.
        labels: labels of the batch's images, for methods that learn from them.
        index: index of each of the batch's images in the source, for methods with a memory of every image.
        part: which images of the batch are embedded; None: all of them, once.
    """

    number: int = 0
    progress: float = 0.0
    labels: Int64[Tensor, " batch"] | None = None
    index: Int64[Tensor, " batch"] | None = None
    part: Part | None = None

    @property
    def begins(self) -> bool:
        """Whether nothing of this step has been embedded yet; what a method does once a step, it does then."""
        return self.part is None or (self.part.start == 0 and not self.part.again)


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a batch, and the other inputs of an arbiter.

    Attributes:
        projected: the projector's output, with gradient.
        features: the encoder's output.
        early: early feature maps (views, batch, channels, height, width) in the order of the views, one tensor for
            those of equal size.
        by_size: the views themselves, one tensor per size, the global ones first.
        targets: projections of the first views, at least of the global ones, by a momentum encoder, without gradient;
            only those of views that are targets are used. None: the method has no momentum encoder.
    """

    projected: Float[Tensor, "views batch dim"]
    features: Float[Tensor, "views batch features"]
    early: list[Tensor]
    by_size: list[Tensor]
    targets: Float[Tensor, "targets batch dim"] | None = None

    @property
    def z(self) -> Float[Tensor, "views batch dim"]:
        """Embeddings on the unit sphere, at least in float32."""
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
    """Encode and project all views; `batch_norm` determines which of them share batch statistics."""
    features, early = encode(encoder, views, batch_norm)
    return Embedded(project(projector, features, batch_norm), features, early, views, targets)


def project(
    projector: Callable[[Tensor], Tensor],
    features: Float[Tensor, "views batch features"],
    batch_norm: BatchNorm = "joint",
) -> Float[Tensor, "views batch dim"]:
    """Apply a head to all views in one batch (joint), or to each view separately (per_view)."""
    made = [projector(part.flatten(0, 1)) for part in parts_by_statistics(features, batch_norm)]
    return join_parts(made).unflatten(0, features.shape[:2])


def unit(x: Float[Tensor, "*rows dim"]) -> Float[Tensor, "*rows dim"]:
    """Normalise rows to the unit sphere, at least in float32."""
    return normalize(at_least_float32(x), dim=-1)
