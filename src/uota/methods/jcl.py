"""JCL: Cai et al., *Joint Contrastive Learning with Infinite Possibilities*, NeurIPS 2020.

MoCo v2 with infinitely many keys: the keys of an image are taken for Gaussian, with the mean and covariance of those at
hand, and the InfoNCE expected over them is bounded from above in closed form.
"""

import torch
from jaxtyping import Float
from lightly.models.modules.heads import MoCoProjectionHead
from torch import Tensor, nn

from uota.collectives import part_of_mean
from uota.losses import joint_contrastive_terms, mean_of_weighted
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed, unit
from uota.nn.encoder import Encoder
from uota.nn.momentum import MomentumCopy
from uota.nn.queue import Queue


class JCL(nn.Module):
    """JCL: each view is a query for the joint distribution of the keys of the other global views.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector.
        temperature: of the softmax.
        strength: λ, how much the covariance counts (4 in the paper).
        queue_length: keys kept as negatives.
        momentum: of the key encoder.
        queries: only so many views are queries, and the others keys only; None: all. The paper: 1, and 5 keys.
        parts: of the batch, with batch statistics of their own, when keys are made; stands for MoCo's shuffling.
    """

    def __init__(
        self,
        encoder: Encoder,
        hidden: int = 2048,
        dim: int = 128,
        temperature: float = 0.2,
        strength: float = 4.0,
        queue_length: int = 65536,
        momentum: float = 0.999,
        queries: int | None = None,
        parts: int = 2,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = MoCoProjectionHead(encoder.width, hidden, dim)
        self.key = MomentumCopy(encoder, self.projector, parts)
        self.queue = Queue(queue_length, dim)
        self.temperature = temperature
        self.strength = strength
        self.momentum = momentum
        self.queries = queries

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Queries of all views and keys of the global ones; the key encoder first takes its step."""
        if self.training:
            self.key.follow(self.encoder, self.projector, self.momentum)
        return embed(self.encoder, self.projector, groups, self.key(groups[0]))

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """The bound; the keys' weights act within their moments, and the query's on its term.

        Where both views of a pair are to be weighed, a term also weighs what its keys weigh on average.
        """
        assert embedded.targets is not None
        keys = unit(embedded.targets)
        queries = embedded.z[: self.queries]
        shares, key_weight = key_shares(weights, len(queries), len(keys))
        negatives = self.queue.rows.clone()
        terms = joint_contrastive_terms(queries, keys, shares, negatives, self.temperature, self.strength)
        if self.training:
            self.queue.push(keys)
        if step.both:
            return mean_of_weighted(terms, weights[: len(queries)] * key_weight)
        return part_of_mean(weights[: len(queries)] * terms)


def key_shares(
    weights: Float[Tensor, "views batch"], queries: int, keys: int
) -> tuple[Float[Tensor, "queries keys batch"], Float[Tensor, "queries batch"]]:
    """Each key's share in the moments of each query, its own view left out; and the mean weight of a query's keys."""
    other = ~torch.eye(queries, keys, dtype=torch.bool, device=weights.device)
    weight = weights[:keys] * other[..., None]
    total = weight.sum(1)
    return weight / total.clamp_min(1e-12)[:, None], total / other.sum(1)[:, None]


CARD = Card(
    JCL,
    "JCL",
    "Cai et al., NeurIPS 2020, arXiv 2011.02538",
    2020,
    "keys in the moments, the query on its term",
    68.7,
    views="jcl",
    small={"hidden": 256, "dim": 64, "queue_length": 2048, "momentum": 0.99},
)
