"""Weights of views, and the one place where they meet the terms of a loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from uota.distributed import count_over_ranks, gather_rows, part_of_mean, sum_over_ranks
from uota.losses.pairs import Pairs

# Which views of a pair are weighed: the predicting one, as in the UOTA paper, or the target as well.
Side = Literal["predictor", "both"]


@dataclass(frozen=True, eq=False)
class ViewWeights:
    """What each view of a batch counts in a loss. A method hands its terms to these functions and multiplies nothing.

    Weights have mean 1 over the batches of all ranks, as an arbiter makes them; uniform ones give the plain loss.
    Their values are not inspected: that would wait for the device, and a NaN among them makes the loss NaN, which
    training refuses.

    Attributes:
        values: one weight per view and image, detached here.
        side: "predictor": a term counts what its predicting view weighs. "both": it counts the product of what both of
            its views weigh, since a wrong view does as much harm as a target or as a negative.
    """

    values: Float[Tensor, "views batch"]
    side: Side = "both"

    def __post_init__(self) -> None:
        """Check shape, type and side, and detach the values.

        Raises:
            ValueError: these are no weights of views.
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
        """Weights of 1, which give the plain loss."""
        return cls(torch.ones(views, batch, dtype=dtype, device=device), side)

    def mean(self, terms: Float[Tensor, "pairs batch"], pairs: Pairs) -> Float[Tensor, ""]:
        """Mean of weight × term, where each row of terms belongs to a pair of views.

        On several ranks each returns its part of the mean over all (`part_of_mean`), as all means here do.
        """
        return self.mean_of_rows(terms, pairs.predictor, self.values[pairs.target])

    def mean_of_rows(
        self,
        terms: Float[Tensor, "rows batch"],
        predictor: Sequence[int],
        target_weights: Float[Tensor, "rows batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Mean of weight × term, where each row of terms belongs to one view and to any number of targets.

        Args:
            terms: of the loss.
            predictor: the view of each row.
            target_weights: what the targets of each row weigh together, which counts only if both sides are weighed;
                None: the targets are no views of this batch.
        """
        weights = self.values[list(predictor)]
        if self.side == "predictor":
            return part_of_mean(weights * terms)
        if target_weights is not None:
            weights = weights * target_weights
        return part_of_mean(_scaled_to_mean_one(weights) * terms)

    def moments(self, pairs: Pairs | None = None) -> Float[Tensor, "rows batch"]:
        """What images count in moments over the batch (means, covariances, correlations).

        Moments mix the views that enter them, and have no predicting side: all weights enter, whatever `side` is.

        Args:
            pairs: for moments of two views at once, to which an image contributes the product of its two weights.
                None: for moments of single views.
        """
        return self.values if pairs is None else self.values[pairs.predictor] * self.values[pairs.target]

    def mean_of_moments(self, losses: Float[Tensor, " pairs"], pairs: Pairs) -> Float[Tensor, ""]:
        """Mean of losses that were each computed from `moments` of a pair, which counts as much as its images do."""
        products = self.moments(pairs)
        pair_weight = sum_over_ranks(products.sum(1)) / count_over_ranks(products[0])
        return (losses * pair_weight / pair_weight.mean().clamp_min(1e-12)).mean()

    def negatives(self) -> Float[Tensor, "views batch"] | None:
        """What views count as negatives of other images; None, alike, if only predicting views are weighed."""
        return self.values if self.side == "both" else None

    def weigh_inputs(self, inputs: Float[Tensor, "views batch features"]) -> Float[Tensor, "views batch features"]:
        """Scale what a network reads of several views at once, if both sides are weighed; a weight of 0 blanks a view.

        A prediction from a context of views cannot be split into terms of one view each.
        """
        if self.side == "predictor":
            return inputs
        return inputs * _scaled_to_mean_one(self.values)[..., None].to(inputs)


def log_negative_weights(weights: Float[Tensor, "views batch"]) -> Float[Tensor, "images views"]:
    """What is added to the logits of the images of all ranks, so that each counts as a negative what it weighs."""
    counts = gather_rows(weights.T).rows
    return (counts / counts.mean().clamp_min(1e-12)).log()


def _scaled_to_mean_one(weights: Float[Tensor, "rows batch"]) -> Float[Tensor, "rows batch"]:
    mean = sum_over_ranks(weights.sum()) / count_over_ranks(weights)
    return weights / mean.clamp_min(1e-12)
