"""Weights of views: the one place where they meet the terms of a loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from uota.distributed import count_over_ranks, gather_rows, part_of_mean, sum_over_ranks
from uota.losses.pairs import Pairs
from uota.numerics import rows_at

# The views of a pair that are weighed: the predicting one, as in the UOTA paper, or both.
Side = Literal["predictor", "both"]


@dataclass(frozen=True, eq=False)
class ViewWeights:
    """Weights of a batch of views, and the ways in which they enter a loss. Methods multiply nothing by them.

    An arbiter's weights have mean 1 over the batches of all ranks, and uniform weights give the plain loss. Values are
    not checked, since that would wait for the device; a NaN among them makes the loss NaN, which stops training.

    Attributes:
        values: one weight per view and image; detached.
        side: "predictor": a term is multiplied by the weight of its predicting view. "both": by the product of both
            weights, since a wrong view also does harm as a target and as a negative.
    """

    values: Float[Tensor, "views batch"]
    side: Side = "both"

    def __post_init__(self) -> None:
        """Check shape, dtype and side, and detach the values.

        Raises:
            ValueError: the values are not weights of views, or there is no such side.
        """
        if self.values.ndim != 2 or not self.values.is_floating_point():
            raise ValueError(
                f"weights are {self.values.dtype} of shape {tuple(self.values.shape)}; "
                "give a floating-point tensor of shape (views, batch)"
            )
        if self.side not in get_args(Side):
            raise ValueError(f"the weighted side is {self.side!r}; choose {' or '.join(get_args(Side))}")
        object.__setattr__(self, "values", self.values.detach())

    @classmethod
    def uniform(
        cls,
        views: int,
        batch: int,
        side: Side = "both",
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> "ViewWeights":
        """Make weights of 1, which give the plain loss."""
        return cls(torch.ones(views, batch, dtype=dtype, device=device), side)

    def mean(self, terms: Float[Tensor, "pairs batch"], pairs: Pairs) -> Float[Tensor, ""]:
        """Mean of weight × term over rows of terms that each belong to a pair of views.

        With several ranks, this and the other means are a rank's part of the mean over all (`part_of_mean`).
        """
        return self.mean_of_rows(terms, pairs.predictor, rows_at(self.values, pairs.target))

    def mean_of_rows(
        self,
        terms: Float[Tensor, "rows batch"],
        predictor: Sequence[int],
        target_weights: Float[Tensor, "rows batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Mean of weight × term over rows of terms that each belong to one view and to any number of targets.

        Args:
            terms: of the loss.
            predictor: index of the predicting view of each row.
            target_weights: joint weight of the targets of each row, which enters if both sides are weighed; None: the
                targets are not views of this batch.
        """
        weights = rows_at(self.values, predictor)
        if self.side == "predictor":
            return part_of_mean(weights * terms)
        if target_weights is not None:
            weights = weights * target_weights
        return part_of_mean(_scaled_to_mean_one(weights) * terms)

    def moments(self, pairs: Pairs | None = None) -> Float[Tensor, "rows batch"]:
        """Weights of images in moments over the batch, such as means, covariances and correlations.

        Moments mix all images and have no predicting side, so that all weights enter whatever `side` is.

        Args:
            pairs: for moments of two views at once, where the weight of an image is the product of its two weights;
                None: for moments of single views.
        """
        if pairs is None:
            return self.values
        return rows_at(self.values, pairs.predictor) * rows_at(self.values, pairs.target)

    def mean_of_moments(self, losses: Float[Tensor, " pairs"], pairs: Pairs) -> Float[Tensor, ""]:
        """Mean of losses that were each computed with the `moments` of a pair, weighted by the mean of these."""
        products = self.moments(pairs)
        pair_weight = sum_over_ranks(products.sum(1)) / count_over_ranks(products[0])
        return (losses * pair_weight / pair_weight.mean().clamp_min(1e-12)).mean()

    def negatives(self) -> Float[Tensor, "views batch"] | None:
        """Weights of views as negatives of other images; None if only predicting views are weighed."""
        return self.values if self.side == "both" else None

    def weigh_inputs(self, inputs: Float[Tensor, "views batch features"]) -> Float[Tensor, "views batch features"]:
        """Scale the inputs of a network that predicts from several views at once, if both sides are weighed.

        Such a prediction cannot be split into terms of single views.
        """
        if self.side == "predictor":
            return inputs
        return inputs * _scaled_to_mean_one(self.values)[..., None].to(inputs)


def log_negative_weights(weights: Float[Tensor, "views batch"]) -> Float[Tensor, "images views"]:
    """Offsets of the logits of the images of all ranks that make their weights factors in the sum over negatives."""
    counts = gather_rows(weights.T).rows
    return (counts / counts.mean().clamp_min(1e-12)).log()


def _scaled_to_mean_one(weights: Float[Tensor, "rows batch"]) -> Float[Tensor, "rows batch"]:
    mean = sum_over_ranks(weights.sum()) / count_over_ranks(weights)
    return weights / mean.clamp_min(1e-12)
