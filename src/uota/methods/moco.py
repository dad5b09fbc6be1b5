"""MoCo: He et al., *Momentum Contrast*, CVPR 2020; and v2: Chen et al., *Improved Baselines*, 2020.

A query must pick the key of its image, made by a momentum encoder, among the keys of earlier batches in a queue. v2 has
a head with a hidden layer, stronger views and a softer softmax.
"""

from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import Encoder
from uota.encoders.heads import MLP
from uota.encoders.momentum import MomentumCopy
from uota.encoders.queue import Queue
from uota.losses import info_nce_terms, pairs_between, weighted_mean
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, unit
from uota.methods.momentum_queue import embed_queries_and_keys, roles_of


class MoCo(nn.Module):
    """MoCo with any number of views.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector; hidden None: it is linear, as in v1.
        temperature: of the softmax.
        queue_length: keys kept as negatives.
        momentum: of the key encoder.
        queries: the first so many views are queries, and the others keys (the paper: 1 of 2); None: each view is a
            query for the keys of the other global views.
        parts: number of parts in which a batch of keys is encoded, each with its own batch statistics, in place of
            MoCo's shuffling; several devices with their own statistics shuffle instead. 1: neither.
    """

    def __init__(
        self,
        encoder: Encoder,
        hidden: int | None = 2048,
        dim: int = 128,
        temperature: float = 0.2,
        queue_length: int = 65536,
        momentum: float = 0.999,
        queries: int | None = None,
        parts: int = 2,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        width = encoder.width
        self.projector = MLP(width, hidden, dim, batch_norm=False) if hidden else nn.Linear(width, dim)
        self.key = MomentumCopy(encoder, self.projector, parts)
        self.queue = Queue(queue_length, dim)
        self.temperature = temperature
        self.momentum = momentum
        self.queries = queries

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Queries and keys; the key encoder first takes its step."""
        if self.training:
            self.key.follow(self.encoder, self.projector, self.momentum)
        return embed_queries_and_keys(self.encoder, self.projector, self.key, groups, self.queries)

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """InfoNCE, every term times the weight of its query, or of both views; then the keys enter the queue."""
        assert embedded.targets is not None
        keys = unit(embedded.targets)
        roles = roles_of(self.queries, len(embedded.projected), embedded.globals)
        pairs = pairs_between(roles.queries, roles.keys)
        terms = info_nce_terms(embedded.z, keys, self.queue.rows.clone(), pairs, self.temperature)
        if self.training:
            self.queue.push(keys[roles.keys])
        return weighted_mean(terms, pairs, weights, step.both)


SMALL = {"dim": 64, "queue_length": 2048, "momentum": 0.99}
V1 = Card(
    MoCo,
    "MoCo",
    "He et al., CVPR 2020, arXiv 1911.05722",
    2020,
    "the query view",
    60.6,
    views="mocov1",
    options={"hidden": None, "temperature": 0.07},
    small=SMALL,
    sync_batch_norm=False,
)
V2 = Card(
    MoCo,
    "MoCo v2",
    "Chen et al., 2020, arXiv 2003.04297",
    2020,
    "the query view",
    67.6,
    views="mocov2",
    small=SMALL | {"hidden": 256},
    sync_batch_norm=False,
)
