"""BYOL: Grill et al., *Bootstrap Your Own Latent*, NeurIPS 2020.

Every view predicts the projection that a slowly following copy of the network makes of a global view of its image.
There are no negatives.
"""

from math import cos, pi

from jaxtyping import Float
from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead
from torch import Tensor, nn

from uota.losses import negative_cosine_terms, ordered_pairs, weighted_mean
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed, project
from uota.nn.encoder import Encoder
from uota.nn.momentum import MomentumCopy


class BYOL(nn.Module):
    """BYOL with any number of views.

    Args:
        encoder: images to features.
        hidden, dim: widths of projector and predictor.
        momentum: of the target network at the start; it rises to 1 along a cosine.
    """

    def __init__(self, encoder: Encoder, hidden: int = 4096, dim: int = 256, momentum: float = 0.996) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = BYOLProjectionHead(encoder.width, hidden, dim)
        self.predictor = BYOLPredictionHead(dim, hidden, dim)
        self.target = MomentumCopy(encoder, self.projector)
        self.momentum = momentum

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Projections of all views and targets of the global ones; the target network first takes its step."""
        if self.training:
            self.target.follow(self.encoder, self.projector, momentum_at(step.progress, self.momentum))
        return embed(self.encoder, self.projector, groups, self.target(groups[0]))

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """2 - 2 × cosine, every term times the weight of its predicting view, or of both views."""
        assert embedded.targets is not None
        predictions = project(self.predictor, embedded.projected)
        pairs = ordered_pairs(len(predictions), embedded.globals)
        terms = 2 + 2 * negative_cosine_terms(predictions, embedded.targets, pairs)
        return weighted_mean(terms, pairs, weights, step.both)


def momentum_at(progress: float, start: float) -> float:
    """From `start` to 1 along a cosine, `progress` being the share of training done (section 3.3 of the paper)."""
    return 1 - (1 - start) * (cos(pi * progress) + 1) / 2


CARD = Card(
    BYOL,
    "BYOL",
    "Grill et al., NeurIPS 2020, arXiv 2006.07733",
    2020,
    "the predicting view",
    70.6,
    views="byol",
    small={"hidden": 256, "dim": 64, "momentum": 0.99},
)
