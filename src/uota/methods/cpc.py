"""CPC v2: Hénaff et al., *Data-Efficient Image Recognition with Contrastive Predictive Coding*, ICML 2020.

An image is a grid of overlapping patches, each encoded alone. From the patches on one side of a position, a masked
network predicts those some steps away on the other side, which must be picked among all patches of the batch. This is
done in four directions. Batch norm would leak the answer between patches, so the encoder has layer norm.
"""

from copy import deepcopy
from math import isqrt

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from uota.encoders.encoder import Encoder
from uota.encoders.momentum import follow
from uota.encoders.norms import with_layer_norm
from uota.errors import UotaError
from uota.losses import Pairs, ViewWeights, patch_prediction_terms
from uota.methods.card import Card
from uota.methods.embedded import Embedded, Step, embed

DIRECTIONS = 4


class CPC(nn.Module):
    """CPC v2, whose views are the patches of an image, row by row.

    Args:
        encoder: patches to features.
        dim: of the space in which predictions and patches are compared.
        hidden, blocks: width and number of the blocks of each direction's context network.
        skip: patches up to this distance are not predicted, since they overlap with the context.
        steps: number of distances beyond it that are predicted.
        scale: factor of the predictions.
        clip: largest norm of the gradient of all parameters together; None: it is not clipped.
        average: decay of the moving average of the encoder's weights (Polyak averaging), which is evaluated instead of
            the trained encoder; None: there is no average.
    """

    def __init__(
        self,
        encoder: Encoder,
        dim: int = 64,
        hidden: int = 256,
        blocks: int = 5,
        skip: int = 2,
        steps: int = 3,
        scale: float = 0.1,
        clip: float | None = None,
        average: float | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.average, self.clip = average, clip
        if average is not None:
            self.learner = deepcopy(encoder)
            self.encoder.requires_grad_(False)
        self.dim = dim
        self.projector = nn.Linear(encoder.width, dim)
        width = encoder.width
        self.contexts = nn.ModuleList(
            nn.Sequential(*(MaskedBlock(width, hidden) for _ in range(blocks)), nn.ReLU()) for _ in range(DIRECTIONS)
        )
        self.predictors = nn.ModuleList(nn.Linear(width, steps * dim) for _ in range(DIRECTIONS))
        self.distances = range(skip + 1, skip + steps + 1)
        self.scale = scale

    def embed(self, views: list[Tensor], step: Step) -> Embedded:
        """Encode and project all patches."""
        side = isqrt(len(views[0]))
        if len(views) > 1 or side**2 != len(views[0]) or side <= self.distances[-1]:
            raise UotaError(
                f"cpc_v2 predicts over {self.distances[-1]} steps in a square grid of patches, and these views are "
                f"{' + '.join(str(len(each)) for each in views)}; choose --views cpc, small-cpc or small-grey-cpc"
            )
        if self.average is not None and self.training and step.begins:
            follow(self.encoder, self.learner, self.average)
        return embed(self.encoder if self.average is None else self.learner, self.projector, views)

    def before_update(self, number: int) -> None:
        """Clip the norm of the gradient."""
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters(), self.clip)

    def loss(self, embedded: Embedded, weights: ViewWeights, step: Step) -> Float[Tensor, ""]:
        """InfoNCE, each term times the weight of its predicted patch.

        If both sides are weighed, it is also multiplied by the weight of the patch at which its context ends; the
        context then sees each patch times its weight, and patches are weighted as negatives too.
        """
        predictions, pairs = self._predict(weights.weigh_inputs(embedded.features))
        predicted, negatives = pairs.predictor, weights.negatives()
        terms = patch_prediction_terms(self.scale * predictions, embedded.projected, predicted, negatives)
        return weights.mean(terms, pairs)

    def _predict(self, seen: Float[Tensor, "views batch features"]) -> tuple[Float[Tensor, "rows batch dim"], Pairs]:
        """Predict in all directions; the pairs hold each predicted patch and the patch at which its context ends."""
        side = isqrt(len(seen))
        numbers = np.arange(len(seen)).reshape(side, side)
        predictions, about, at = [], [], []
        for turn, (context, predictor) in enumerate(zip(self.contexts, self.predictors, strict=True)):
            order = np.rot90(numbers, turn)  # so that every direction goes from top to bottom
            grid = torch.rot90(seen.unflatten(0, (side, side)), turn).permute(2, 3, 0, 1)
            made = predictor(context(grid).permute(2, 3, 0, 1)).unflatten(-1, (-1, self.dim))
            for step, distance in enumerate(self.distances):
                predictions.append(made[:-distance, :, :, step].flatten(0, 1))
                about += order[distance:].ravel().tolist()
                at += order[:-distance].ravel().tolist()
        return torch.cat(predictions), Pairs(about, at)


class MaskedBlock(nn.Module):
    """A residual block whose output depends on the same row and the row above."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inwards = nn.Conv2d(width, hidden, 1)
        self.sideways = nn.Conv2d(hidden, hidden, (1, 3), padding=(0, 1))
        self.downwards = nn.Conv2d(hidden, hidden, (2, 1))
        self.outwards = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Float[Tensor, "batch width rows columns"]) -> Float[Tensor, "batch width rows columns"]:
        y = self.sideways(torch.relu(self.inwards(x)))
        y = self.downwards(nn.functional.pad(y, (0, 0, 1, 0)))
        return x + self.outwards(torch.relu(y))


def layer_norm_encoder(name: str, channels: int, image_size: int) -> nn.Module:
    """An encoder with layer norm, so that patches are encoded independently of each other."""
    return with_layer_norm(Encoder(name, channels, image_size))


CARD = Card(
    build=CPC,
    title="CPC v2",
    paper="Hénaff et al., ICML 2020, arXiv 1905.09272",
    year=2020,
    weighs="the predicted patch",
    top1=63.8,
    views="cpc",
    small={"blocks": 2, "hidden": 64, "skip": 1, "steps": 2},
    small_views={1: "small-grey-cpc", 3: "small-cpc"},
    encoder=layer_norm_encoder,
)
