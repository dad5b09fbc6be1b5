"""Barlow Twins: Zbontar et al., *Self-Supervised Learning via Redundancy Reduction*, ICML 2021.

The cross-correlation of the projections of two views over the batch is pulled towards the identity. Each view goes
through the networks alone, as in the published code (facebookresearch/barlowtwins, main.py).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import BatchNorm, Encoder
from uota.encoders.heads import MLP
from uota.losses import ViewWeights, cross_correlation_loss, unordered_pairs
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed


class BarlowTwins(nn.Module):
    """Barlow Twins with any number of views: one cross-correlation for each view with each global view.

    Args:
        encoder: images to features.
        hidden, dim: widths of the projector.
        off_diagonal: λ, how much redundancy counts (0.0051 in the published code).
        scale: factor of the loss; under LARS it affects only biases, norms and the relative strength of weight decay.
        batch_norm: whether views share batch statistics or each has its own.
    """

    def __init__(
        self,
        encoder: Encoder,
        hidden: int = 8192,
        dim: int = 8192,
        off_diagonal: float = 0.0051,
        scale: float = 1.0,
        batch_norm: BatchNorm = "per_view",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim
        self.projector = _mlp(encoder.width, hidden, dim)
        self.off_diagonal = off_diagonal
        self.scale = scale
        self.batch_norm: BatchNorm = batch_norm

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode and project all views."""
        return embed(self.encoder, self.projector, views, batch_norm=self.batch_norm)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """Mean over pairs of views of the loss of their cross-correlation, whose moments are weighted.

        No term belongs to one view, so the weights of both views of a pair always enter.
        """
        z = embedded.projected
        pairs = unordered_pairs(len(z), embedded.globals)
        losses = [
            cross_correlation_loss(z[a], z[b], weight, self.off_diagonal)
            for a, b, weight in zip(pairs.predictor, pairs.target, weights.moments(pairs), strict=True)
        ]
        return self.scale * weights.mean_of_moments(torch.stack(losses), pairs)


def _mlp(inputs: int, hidden: int, outputs: int) -> MLP:
    """A projector without biases, since every layer is followed by a normalisation over the batch."""
    return MLP(inputs, hidden, hidden, outputs, bias=False)


# With the scale of the published recipe, the learning rates of small runs would hardly reduce the loss.
CARD = Card(
    build=BarlowTwins,
    title="Barlow Twins",
    paper="Zbontar et al., ICML 2021, arXiv 2103.03230",
    year=2021,
    weighs="moments of the cross-correlation",
    top1=73.2,
    views="barlow",
    small={"hidden": 256, "dim": 256, "scale": 0.1},
)
