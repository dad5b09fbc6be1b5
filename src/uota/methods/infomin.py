"""InfoMin Aug.: Tian et al., *What Makes for Good Views for Contrastive Learning?*, NeurIPS 2020.

MoCo v2 with stronger augmentations and the second branch of PIRL (Misra & van der Maaten, CVPR 2020): the shuffled
pieces of a view must pick the same key as the query.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from uota.encoders.encoder import Encoder, images_of
from uota.encoders.heads import MLP
from uota.encoders.jigsaw import JigsawHead, pieces
from uota.losses import ViewWeights, info_nce_terms, pairs_between
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, unit
from uota.methods.momentum_queue import MomentumQueue, roles_of
from uota.numerics import rows_at


@dataclass(frozen=True, kw_only=True)
class WithJigsaws(Embedded):
    """Embeddings of a batch, and those of the jigsaws made of its first views, which are no views themselves.

    Attributes:
        solved: embeddings of the jigsaws.
    """

    solved: Float[Tensor, "jigsaws batch dim"]


class InfoMin(MomentumQueue):
    """InfoMin Aug. with any number of views.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector, and of the jigsaw's head.
        temperature: of the softmax (0.15 in the released code).
        queue_length: keys kept as negatives.
        momentum: of the key encoder.
        jigsaw: share of the jigsaws' terms in the loss (0.5 in the released code).
        queries: number of global views, the first ones, that are queries; the other global ones are keys (1 of 2 in the
            released code). Jigsaws are made of the views of the second size, or of the queries if there is none. None:
            each view is a query for the keys of the other global views, and jigsaws are made of all global ones.
        ghost_batches: number of ghost batches in which keys are encoded, each with its own batch statistics, in place
            of MoCo's shuffling; several devices with their own statistics shuffle instead. 1: neither.
    """

    def __init__(
        self,
        encoder: Encoder,
        hidden: int = 2048,
        dim: int = 128,
        temperature: float = 0.15,
        queue_length: int = 65536,
        momentum: float = 0.999,
        jigsaw: float = 0.5,
        queries: int | None = None,
        ghost_batches: int = 2,
    ) -> None:
        projector = MLP(encoder.width, hidden, dim, batch_norm=False)
        jigsaw_head = JigsawHead(encoder.width, hidden, dim)
        super().__init__(encoder, projector, dim, queue_length, momentum, queries, ghost_batches)
        self.jigsaw_head = jigsaw_head
        self.temperature = temperature
        self.jigsaw = jigsaw

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode queries, keys and jigsaws; the key encoder first follows the last update."""
        if self._cuts_second(views):
            return self._with_jigsaws(self.queries_and_keys(views[:1], step), views, step)
        embedded = self.queries_and_keys(views, step)
        return WithJigsaws(**vars(embedded), solved=self._solve(views[0][: self.queries], step)[0])

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """InfoNCE of the views and of the jigsaws, each term times the weight of its view, or of both views."""
        assert embedded.targets is not None
        keys, negatives = unit(embedded.targets), self.negatives()
        if self._cuts_second(embedded.by_size):
            views, solved = embedded.globals, embedded.z
            jigsaws = range(views, len(solved))
        else:
            assert isinstance(embedded, WithJigsaws)
            views, solved = len(embedded.projected), unit(embedded.solved)
            jigsaws = range(len(solved))
        roles = roles_of(self.queries, views, embedded.globals)
        self.enqueue(rows_at(keys, roles.keys))
        losses = []
        for queries, asking in ((embedded.z, roles.queries), (solved, jigsaws)):
            pairs = pairs_between(asking, roles.keys)
            terms = info_nce_terms(queries, keys, negatives, pairs, self.temperature)
            losses.append(weights.mean(terms, pairs))
        return (1 - self.jigsaw) * losses[0] + self.jigsaw * losses[1]

    def _cuts_second(self, views: list[Tensor]) -> bool:
        return self.queries is not None and len(views) > 1

    def _with_jigsaws(self, embedded: Embedded, views: list[Tensor], step: Step) -> Embedded:
        made = [self._solve(of_size, step) for of_size in views[1:]]
        projected = torch.cat([embedded.projected, *(each[0] for each in made)])
        features = torch.cat([embedded.features, *(each[1] for each in made)])
        early = [*embedded.early, *(each[2] for each in made)]
        return replace(embedded, projected=projected, features=features, early=early, by_size=views)

    def _solve(self, views: Tensor, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """Make jigsaws and embed them; their features and early maps are means over the pieces."""
        start, images = (0, views.shape[1]) if step.part is None else (step.part.start, step.part.images)
        cut = pieces(views, step.number, start, images)
        made = self.encoder.with_early_map(images_of(cut.flatten(0, 1)))
        features, early = (x.unflatten(0, cut.shape[:3]) for x in made)
        return self.jigsaw_head(features), features.mean(2), early.mean(2)


CARD = Card(
    build=InfoMin,
    title="InfoMin Aug.",
    paper="Tian et al., NeurIPS 2020, arXiv 2005.10243",
    year=2020,
    weighs="the query view",
    top1=70.1,
    views="infomin",
    options={"queries": 1},  # its preset has a view of its own for the jigsaw
    small={"queries": None, "hidden": 256, "dim": 64, "queue_length": 2048, "momentum": 0.99, "temperature": 0.2},
    sync_batch_norm=False,
)
