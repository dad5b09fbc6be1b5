"""MoCo: He et al., *Momentum Contrast*, CVPR 2020; and v2: Chen et al., *Improved Baselines*, 2020.

A query must pick the key of its image, made by a momentum encoder, among the keys of earlier batches in a queue. v2 has
a head with a hidden layer, stronger augmentations and a higher temperature.
"""

from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import Encoder
from uota.encoders.heads import MLP
from uota.losses import ViewWeights, info_nce_terms, pairs_between
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, unit
from uota.methods.momentum_queue import MomentumQueue, roles_of
from uota.numerics import rows_at


class MoCo(MomentumQueue):
    """MoCo with any number of views.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector; with hidden None it is linear, as in v1.
        temperature: of the softmax.
        queue_length: keys kept as negatives.
        momentum: of the key encoder.
        queries: number of views, the first ones, that are queries; the others are keys (1 of 2 in the paper). None:
            each view is a query for the keys of the other global views.
        ghost_batches: number of ghost batches in which keys are encoded, each with its own batch statistics, in place
            of MoCo's shuffling; several devices with their own statistics shuffle instead. 1: neither.
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
        ghost_batches: int = 2,
    ) -> None:
        width = encoder.width
        projector = MLP(width, hidden, dim, batch_norm=False) if hidden else nn.Linear(width, dim)
        super().__init__(encoder, projector, dim, queue_length, momentum, queries, ghost_batches)
        self.temperature = temperature

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode queries and keys; the key encoder first follows the last update."""
        return self.queries_and_keys(views, step)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """InfoNCE, each term times the weight of its query, or of both views; then the keys enter the queue."""
        assert embedded.targets is not None
        keys = unit(embedded.targets)
        roles = roles_of(self.queries, len(embedded.projected), embedded.globals)
        pairs = pairs_between(roles.queries, roles.keys)
        terms = info_nce_terms(embedded.z, keys, self.negatives(), pairs, self.temperature)
        self.enqueue(rows_at(keys, roles.keys))
        return weights.mean(terms, pairs)


SMALL = {"dim": 64, "queue_length": 2048, "momentum": 0.99}
V1 = Card(
    build=MoCo,
    title="MoCo",
    paper="He et al., CVPR 2020, arXiv 1911.05722",
    year=2020,
    weighs="the query view",
    top1=60.6,
    views="mocov1",
    options={"hidden": None, "temperature": 0.07},
    small=SMALL,
    sync_batch_norm=False,
)
V2 = Card(
    build=MoCo,
    title="MoCo v2",
    paper="Chen et al., 2020, arXiv 2003.04297",
    year=2020,
    weighs="the query view",
    top1=67.6,
    views="mocov2",
    small=SMALL | {"hidden": 256},
    sync_batch_norm=False,
)
