"""SimSiam: Chen & He, *Exploring Simple Siamese Representation Learning*, CVPR 2021.

Every view predicts the projection of a global view of its image, through which no gradient flows. There are neither
negatives nor a momentum encoder. Each view goes through the networks alone, as in the published code
(facebookresearch/simsiam, simsiam/builder.py): in one batch, prediction and target would share batch statistics.
"""

from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import BatchNorm, Encoder
from uota.encoders.heads import MLP
from uota.losses import ViewWeights, negative_cosine_terms, ordered_pairs
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed, project


class SimSiam(nn.Module):
    """SimSiam with any number of views.

    Args:
        encoder: images to features.
        dim: width of the projector, hidden and output.
        bottleneck: hidden width of the predictor.
        batch_norm: whether views share batch statistics or each has its own.
    """

    def __init__(
        self, encoder: Encoder, dim: int = 2048, bottleneck: int = 512, batch_norm: BatchNorm = "per_view"
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = MLP(encoder.width, dim, dim, dim, last_norm=nn.BatchNorm1d(dim, affine=False))
        self.predictor = MLP(dim, bottleneck, dim)
        self.batch_norm: BatchNorm = batch_norm

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode and project all views."""
        return embed(self.encoder, self.projector, views, batch_norm=self.batch_norm)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """-cosine, each term times the weight of its predicting view, or of both views."""
        predictions = project(self.predictor, embedded.projected, self.batch_norm)
        pairs = ordered_pairs(len(predictions), embedded.globals)
        terms = negative_cosine_terms(predictions, embedded.projected[: embedded.globals], pairs)
        return weights.mean(terms, pairs)


CARD = Card(
    build=SimSiam,
    title="SimSiam",
    paper="Chen & He, CVPR 2021, arXiv 2011.10566",
    year=2021,
    weighs="the predicting view",
    top1=70.0,
    views="simsiam",
    small={"dim": 256, "bottleneck": 64},
)
