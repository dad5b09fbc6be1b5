"""SimSiam: Chen & He, *Exploring Simple Siamese Representation Learning*, CVPR 2021.

Every view predicts the projection of a global view of its image, through which no gradient flows. There are neither
negatives nor a momentum encoder.
"""

from jaxtyping import Float
from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
from torch import Tensor, nn

from uota.losses import negative_cosine_terms, ordered_pairs, weighted_mean
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed, project
from uota.nn.encoder import Encoder


class SimSiam(nn.Module):
    """SimSiam with any number of views.

    Args:
        encoder: images to features.
        dim: width of the projector, hidden and out.
        bottleneck: hidden width of the predictor.
    """

    def __init__(self, encoder: Encoder, dim: int = 2048, bottleneck: int = 512) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = SimSiamProjectionHead(encoder.width, dim, dim)
        self.predictor = SimSiamPredictionHead(dim, bottleneck, dim)

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Encode and project all views."""
        return embed(self.encoder, self.projector, groups)

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """-cosine, every term times the weight of its predicting view, or of both views."""
        predictions = project(self.predictor, embedded.projected)
        pairs = ordered_pairs(len(predictions), embedded.globals)
        terms = negative_cosine_terms(predictions, embedded.projected[: embedded.globals], pairs)
        return weighted_mean(terms, pairs, weights, step.both)


CARD = Card(
    SimSiam,
    "SimSiam",
    "Chen & He, CVPR 2021, arXiv 2011.10566",
    2021,
    "the predicting view",
    70.0,
    views="simsiam",
    small={"dim": 256, "bottleneck": 64},
)
