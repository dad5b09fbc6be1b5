"""Barlow Twins: Zbontar et al., *Self-Supervised Learning via Redundancy Reduction*, ICML 2021.

The cross-correlation of the projections of two views, over the batch, is pulled to the identity. Each view goes through
the networks alone, as in the published code (facebookresearch/barlowtwins, main.py).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.distributed import count_over_ranks, sum_over_ranks
from uota.encoders.encoder import BatchNorm, Encoder
from uota.encoders.heads import MLP
from uota.losses import cross_correlation_loss, unordered_pairs
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed


class BarlowTwins(nn.Module):
    """Barlow Twins with any number of views: a cross-correlation for each view with each global one.

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

    def embed(self, groups: list[Tensor], step: Step) -> Embedded:
        """Encode and project all views."""
        return embed(self.encoder, self.projector, groups, batch_norm=self.batch_norm)

    def loss(self, embedded: Embedded, weights: Float[Tensor, "views batch"], step: Step) -> Float[Tensor, ""]:
        """Each image counts in a pair's moments as the product of its two views' weights, and a pair as their sum.

        There is no term of one view, so the weights of both views always enter.
        """
        pairs = unordered_pairs(len(weights), embedded.globals)
        weight = weights[pairs.predictor] * weights[pairs.target]
        pair_weight = sum_over_ranks(weight.sum(1)) / count_over_ranks(weight[0])
        losses = [
            cross_correlation_loss(embedded.projected[a], embedded.projected[b], w, self.off_diagonal)
            for a, b, w in zip(pairs.predictor, pairs.target, weight, strict=True)
        ]
        return self.scale * (torch.stack(losses) * pair_weight / pair_weight.mean().clamp_min(1e-12)).mean()


def _mlp(inputs: int, hidden: int, outputs: int) -> MLP:
    """A projector without biases, since the mean over the batch is subtracted after every layer."""
    return MLP(inputs, hidden, hidden, outputs, bias=False)


# At the recipe's scale and a learning rate for small runs, the loss of 64 dimensions would hardly move.
CARD = Card(
    BarlowTwins,
    "Barlow Twins",
    "Zbontar et al., ICML 2021, arXiv 2103.03230",
    2021,
    "moments of the cross-correlation",
    73.2,
    views="barlow",
    small={"hidden": 256, "dim": 256, "scale": 0.1},
)
