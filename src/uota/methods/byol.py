"""BYOL: Grill et al., *Bootstrap Your Own Latent*, NeurIPS 2020.

Every view predicts the projection of a global view of its image by a momentum copy of the network. There are no
negatives. Each view goes through the networks alone, as in the published code (google-deepmind's
deepmind-research, byol/byol_experiment.py).
"""

from math import cos, pi

from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import BatchNorm, Encoder
from uota.encoders.heads import MLP
from uota.encoders.momentum import MomentumCopy
from uota.losses import ViewWeights, negative_cosine_terms, ordered_pairs
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed, project


class BYOL(nn.Module):
    """BYOL with any number of views.

    Args:
        encoder: images to features.
        hidden, dim: widths of projector and predictor.
        momentum: of the target network at the start; it rises to 1 along a cosine.
        batch_norm: whether views share batch statistics or each has its own.
    """

    def __init__(
        self,
        encoder: Encoder,
        hidden: int = 4096,
        dim: int = 256,
        momentum: float = 0.996,
        batch_norm: BatchNorm = "per_view",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = _mlp(encoder.width, hidden, dim)
        self.predictor = _mlp(dim, hidden, dim)
        self.target = MomentumCopy(encoder, self.projector, batch_norm=batch_norm)
        self.momentum = momentum
        self.batch_norm: BatchNorm = batch_norm

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Project all views, and the global ones by the target network, which first follows the last update."""
        if self.training and step.number and step.begins:
            done = step.progress * (step.number - 1) / step.number
            self.target.follow(self.encoder, self.projector, momentum_at(done, self.momentum))
        return embed(self.encoder, self.projector, views, self.target(views[0]), self.batch_norm)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """Mean over pairs of views of the sum of ‖p - t‖² = 2 - 2 × cosine in both directions.

        Each term is multiplied by the weight of its predicting view, or of both views.
        """
        assert embedded.targets is not None
        predictions = project(self.predictor, embedded.projected, self.batch_norm)
        pairs = ordered_pairs(len(predictions), embedded.globals)
        terms = 2 + 2 * negative_cosine_terms(predictions, embedded.targets, pairs)
        return 2 * weights.mean(terms, pairs)


def _mlp(inputs: int, hidden: int, outputs: int) -> MLP:
    """A head without biases: the published last layer has none, and batch norm cancels that of the first."""
    return MLP(inputs, hidden, outputs, bias=False)


def momentum_at(progress: float, start: float) -> float:
    """Momentum after a share `progress` of training: from `start` to 1 along a cosine (section 3.3)."""
    return 1 - (1 - start) * (cos(pi * progress) + 1) / 2


CARD = Card(
    build=BYOL,
    title="BYOL",
    paper="Grill et al., NeurIPS 2020, arXiv 2006.07733",
    year=2020,
    weighs="the predicting view",
    top1=70.6,
    views="byol",
    small={"hidden": 256, "dim": 64, "momentum": 0.99},
)
