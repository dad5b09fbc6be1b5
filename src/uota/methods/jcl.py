"""JCL: Cai et al., *Joint Contrastive Learning with Infinite Possibilities*, NeurIPS 2020.

MoCo v2 with infinitely many keys: the keys of an image are assumed to be Gaussian with the mean and covariance of those
in the batch, and the InfoNCE expected over them is bounded from above in closed form.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from uota.encoders.encoder import Encoder
from uota.encoders.heads import MLP
from uota.losses import ViewWeights, joint_contrastive_terms
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, unit
from uota.methods.momentum_queue import MomentumQueue, Roles, roles_of
from uota.numerics import rows_at


class JCL(MomentumQueue):
    """JCL with any number of views; the mean key of each image enters the queue.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector.
        temperature: of the softmax.
        strength: λ, how much the covariance counts (4 in the paper; 2 in the released code).
        ramp: number of equal steps in which λ rises to `strength` over training (one per epoch in the released code);
            0: it is constant.
        queue_length: mean keys kept as negatives.
        momentum: of the key encoder.
        queries: number of views, the first ones, that are queries for the joint distribution of the others, which are
            keys (1 and 4 in the released code); None: each view is a query for that of the other global views.
        ghost_batches: number of ghost batches in which keys are encoded, each with its own batch statistics, in place
            of MoCo's shuffling; several devices with their own statistics shuffle instead. 1: neither.
    """

    def __init__(
        self,
        encoder: Encoder,
        hidden: int = 2048,
        dim: int = 128,
        temperature: float = 0.2,
        strength: float = 4.0,
        ramp: int = 0,
        queue_length: int = 65536,
        momentum: float = 0.999,
        queries: int | None = None,
        ghost_batches: int = 2,
    ) -> None:
        projector = MLP(encoder.width, hidden, dim, batch_norm=False)
        super().__init__(encoder, projector, dim, queue_length, momentum, queries, ghost_batches)
        self.temperature = temperature
        self.strength = strength
        self.ramp = ramp

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode queries and keys; the key encoder first follows the last update."""
        return self.queries_and_keys(views, step)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """The bound, each term times the weight of its query; the weights of keys act within their moments.

        If both sides are weighed, a term is also multiplied by the mean weight of its keys.
        """
        assert embedded.targets is not None
        roles = roles_of(self.queries, len(embedded.projected), embedded.globals)
        queries, targets = rows_at(embedded.z, roles.queries), unit(embedded.targets)
        keys = rows_at(targets, roles.keys)
        shares, key_weights = key_shares(weights.moments(), roles)
        strength = strength_at(step.progress, self.strength, self.ramp)
        terms = joint_contrastive_terms(queries, keys, shares, self.negatives(), self.temperature, strength)
        self.enqueue(mean_keys(targets, weights.moments(), roles)[None])
        return weights.mean_of_rows(terms, roles.queries, key_weights)


def strength_at(progress: float, strength: float, ramp: int) -> float:
    """λ after a share of training: `strength` / `ramp` in the first of `ramp` equal parts, `strength` in the last."""
    if not ramp:
        return strength
    part = int(progress * ramp + 1e-9)  # a step at a boundary belongs to the later part
    return strength * min(part + 1, ramp) / ramp


def key_shares(
    weights: Float[Tensor, "views batch"], roles: Roles
) -> tuple[Float[Tensor, "queries keys batch"], Float[Tensor, "queries batch"]]:
    """Share of each key in a query's moments, 0 for the key of its own view; and the mean weight of a query's keys."""
    keys, queries = (torch.arange(each.start, each.stop, device=weights.device) for each in (roles.keys, roles.queries))
    other = queries[:, None] != keys
    weight = rows_at(weights, roles.keys) * other[..., None]
    total = weight.sum(1)
    return weight / total.clamp_min(1e-12)[:, None], total / other.sum(1)[:, None]


def mean_keys(
    keys: Float[Tensor, "targets batch dim"], weights: Float[Tensor, "views batch"], roles: Roles
) -> Float[Tensor, "batch dim"]:
    """Weighted mean of each image's keys; it is not normalised, so the less they agree, the shorter it is."""
    weight = rows_at(weights, roles.keys)
    return (weight[..., None] * rows_at(keys, roles.keys)).sum(0) / weight.sum(0).clamp_min(1e-12)[:, None]


CARD = Card(
    build=JCL,
    title="JCL",
    paper="Cai et al., NeurIPS 2020, arXiv 2009.14776",
    year=2020,
    weighs="keys in the moments, the query on its term",
    top1=68.7,
    views="jcl",
    small={"hidden": 256, "dim": 64, "queue_length": 2048, "momentum": 0.99},
    sync_batch_norm=False,
)
