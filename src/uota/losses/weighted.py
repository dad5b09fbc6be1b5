"""The one place where weights meet loss terms (M.12)."""

from jaxtyping import Float
from torch import Tensor

from uota.distributed import count_over_ranks, gather_rows, part_of_mean, sum_over_ranks
from uota.losses.pairs import Pairs


def weighted_mean(
    terms: Float[Tensor, "pairs batch"], pairs: Pairs, weights: Float[Tensor, "views batch"], both: bool
) -> Float[Tensor, ""]:
    """Mean over terms of weight × term; of several ranks, this one's part of it (`part_of_mean`).

    Args:
        terms: one per pair of views and image.
        pairs: the views of each row of terms.
        weights: one per view and image, without gradient; all 1 gives the plain loss.
        both: False, the paper's way: a term weighs what its predicting view weighs. True: the product of both views'
            weights, rescaled to mean 1 over all terms of all ranks; a wrong view does as much harm as a target.
    """
    weight = weights[pairs.predictor]
    if both:
        return mean_of_weighted(terms, weight * weights[pairs.target])
    return part_of_mean(weight * terms)


def mean_of_weighted(terms: Float[Tensor, "rows batch"], weights: Float[Tensor, "rows batch"]) -> Float[Tensor, ""]:
    """Mean of weight × term, the weights rescaled to mean 1 over all ranks."""
    mean = sum_over_ranks(weights.sum()) / count_over_ranks(weights)
    return part_of_mean(weights / mean.clamp_min(1e-12) * terms)


def log_negative_weights(weights: Float[Tensor, "views batch"]) -> Float[Tensor, "images views"]:
    """What is added to the logits of the images of all ranks, so that each counts among negatives as it weighs."""
    counts = gather_rows(weights.T).rows
    return (counts / counts.mean().clamp_min(1e-12)).log()
