"""JCL: Cai et al., *Joint Contrastive Learning with Infinite Possibilities*, NeurIPS 2020.

MoCo v2 with infinitely many keys: the keys of an image are taken for Gaussian, with the mean and covariance of those at
hand, and the InfoNCE expected over them is bounded from above in closed form.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.distributed import part_of_mean
from uota.encoders.encoder import Encoder
from uota.encoders.heads import MLP
from uota.encoders.momentum import MomentumCopy
from uota.encoders.queue import Queue
from uota.losses import joint_contrastive_terms, mean_of_weighted
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, unit
from uota.methods.momentum_queue import Roles, embed_queries_and_keys, roles_of


class JCL(nn.Module):
    """JCL with any number of views; the mean key of each image enters the queue.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector.
        temperature: of the softmax.
        strength: λ, how much the covariance counts (4 in the paper; 2 in the released code).
        ramp: number of equal steps over training in which λ rises to `strength` (the released code: one per epoch); 0:
            it is constant.
        queue_length: mean keys kept as negatives.
        momentum: of the key encoder.
        queries: the first so many views are queries for the joint distribution of the others, keys (the released code:
            1, and 4 keys); None: each view is a query for that of the other global views.
        parts: number of parts in which a batch of keys is encoded, each with its own batch statistics, in place of
            MoCo's shuffling; several devices with their own statistics shuffle instead. 1: neither.
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
        parts: int = 2,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = MLP(encoder.width, hidden, dim, batch_norm=False)
        self.key = MomentumCopy(encoder, self.projector, parts)
        self.queue = Queue(queue_length, dim)
        self.temperature = temperature
        self.strength = strength
        self.ramp = ramp
        self.momentum = momentum
        self.queries = queries

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Queries and keys; the key encoder first takes its step."""
        if self.training:
            self.key.follow(self.encoder, self.projector, self.momentum)
        return embed_queries_and_keys(self.encoder, self.projector, self.key, groups, self.queries)

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """The bound; the keys' weights act within their moments, and the query's on its term.

        Where both views of a pair are to be weighed, a term also weighs what its keys weigh on average.
        """
        assert embedded.targets is not None
        roles = roles_of(self.queries, len(embedded.projected), embedded.globals)
        queries, keys = embedded.z[roles.queries], unit(embedded.targets)
        shares, key_weight = key_shares(weights, roles)
        strength = strength_at(step.progress, self.strength, self.ramp)
        negatives = self.queue.rows.clone()
        terms = joint_contrastive_terms(queries, keys[roles.keys], shares, negatives, self.temperature, strength)
        if self.training:
            self.queue.push(mean_keys(keys, weights, roles)[None])
        if step.both:
            return mean_of_weighted(terms, weights[roles.queries] * key_weight)
        return part_of_mean(weights[roles.queries] * terms)


def strength_at(progress: float, strength: float, ramp: int) -> float:
    """λ at a share of training: `strength` / `ramp` in the first of `ramp` equal parts, `strength` in the last."""
    if not ramp:
        return strength
    return strength * min(int(progress * ramp + 1e-9) + 1, ramp) / ramp  # a step that begins a part is of that part


def key_shares(
    weights: Float[Tensor, "views batch"], roles: Roles
) -> tuple[Float[Tensor, "queries keys batch"], Float[Tensor, "queries batch"]]:
    """Each key's share of a query's moments, its own view's key left out, and the mean weight of its keys."""
    views = torch.tensor(list(roles.keys), device=weights.device)
    other = torch.tensor(list(roles.queries), device=weights.device)[:, None] != views
    weight = weights[views] * other[..., None]
    total = weight.sum(1)
    return weight / total.clamp_min(1e-12)[:, None], total / other.sum(1)[:, None]


def mean_keys(
    keys: Float[Tensor, "targets batch dim"], weights: Float[Tensor, "views batch"], roles: Roles
) -> Float[Tensor, "batch dim"]:
    """The weighted mean of each image's keys; not normalised, so the less they agree the shorter it is."""
    weight = weights[roles.keys]
    return (weight[..., None] * keys[roles.keys]).sum(0) / weight.sum(0).clamp_min(1e-12)[:, None]


CARD = Card(
    JCL,
    "JCL",
    "Cai et al., NeurIPS 2020, arXiv 2009.14776",
    2020,
    "keys in the moments, the query on its term",
    68.7,
    views="jcl",
    small={"hidden": 256, "dim": 64, "queue_length": 2048, "momentum": 0.99},
    sync_batch_norm=False,
)
