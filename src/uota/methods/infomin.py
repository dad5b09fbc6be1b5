"""InfoMin Aug.: Tian et al., *What Makes for Good Views for Contrastive Learning?*, NeurIPS 2020.

MoCo v2 with harsher views and, as PIRL (Misra & van der Maaten, CVPR 2020) has it, a second branch: the shuffled
pieces of a view must pick the same key as the view itself.
"""

import torch
from jaxtyping import Float
from lightly.models.modules.heads import MoCoProjectionHead
from torch import Tensor, nn

from uota.losses import info_nce_terms, ordered_pairs, weighted_mean
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed, project, unit
from uota.nn.encoder import Encoder
from uota.nn.momentum import MomentumCopy
from uota.nn.queue import Queue

SIDE = 3  # pieces of a jigsaw, along each axis


class InfoMin(nn.Module):
    """InfoMin Aug. with any number of views; the global ones are also cut into jigsaws.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector; the jigsaw's head has the same, over the features of its nine pieces.
        temperature: of the softmax (0.15 in the released code).
        queue_length: keys kept as negatives.
        momentum: of the key encoder.
        jigsaw: share of the jigsaw's terms in the loss (0.5 in the released code).
        parts: of the batch, with batch statistics of their own, when keys are made; stands for MoCo's shuffling.
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
        parts: int = 2,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = MoCoProjectionHead(encoder.width, hidden, dim)
        self.jigsaw_head = MoCoProjectionHead(SIDE**2 * encoder.width, hidden, dim)
        self.key = MomentumCopy(encoder, self.projector, parts)
        self.queue = Queue(queue_length, dim)
        self.temperature = temperature
        self.momentum = momentum
        self.jigsaw = jigsaw

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Queries of all views and keys of the global ones; the key encoder first takes its step."""
        if self.training:
            self.key.follow(self.encoder, self.projector, self.momentum)
        return embed(self.encoder, self.projector, groups, self.key(groups[0]))

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """InfoNCE of the views and of their jigsaws, every term times the weight of its query, or of both views."""
        assert embedded.targets is not None
        keys, negatives = unit(embedded.targets), self.queue.rows.clone()
        solved = unit(self._embed_jigsaws(embedded.groups[0], step.number))
        if self.training:
            self.queue.push(keys)
        losses = []
        for queries in (embedded.z, solved):
            pairs = ordered_pairs(len(queries), len(keys))
            terms = info_nce_terms(queries, keys, negatives, pairs, self.temperature)
            losses.append(weighted_mean(terms, pairs, weights, step.both))
        return (1 - self.jigsaw) * losses[0] + self.jigsaw * losses[1]

    def _embed_jigsaws(self, views: Tensor, number: int) -> Float[Tensor, "views batch dim"]:
        features = self.encoder(pieces(views, number).flatten(0, 2).contiguous(memory_format=torch.channels_last))
        return project(self.jigsaw_head, features.unflatten(0, (*views.shape[:2], SIDE**2)).flatten(2))


def pieces(
    views: Float[Tensor, "views batch channels size size"], number: int
) -> Float[Tensor, "views batch pieces channels piece piece"]:
    """The nine pieces of each view in an order that changes with the step, each a little less than its cell.

    The order and the cuts are the same for the whole batch, on all ranks.
    """
    random = torch.Generator().manual_seed(number)
    cell = views.shape[-1] // SIDE
    piece = max(cell * 7 // 8, 1)
    top, left = torch.randint(cell - piece + 1, (2,), generator=random).tolist()
    cut = views[..., top:, left:].unfold(-2, piece, cell).unfold(-2, piece, cell)[:, :, :, :SIDE, :SIDE]
    order = torch.randperm(SIDE**2, generator=random).to(views.device)
    return cut.flatten(3, 4).movedim(3, 2)[:, :, order]


CARD = Card(
    InfoMin,
    "InfoMin Aug.",
    "Tian et al., NeurIPS 2020, arXiv 2005.10243",
    2020,
    "the query view",
    70.1,
    views="infomin",
    small={"hidden": 256, "dim": 64, "queue_length": 2048, "momentum": 0.99, "temperature": 0.2},
)
