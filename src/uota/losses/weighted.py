"""The one place where weights meet loss terms (M.12)."""

from jaxtyping import Float
from torch import Tensor

from uota.collectives import sum_over_ranks, world_size
from uota.losses.pairs import Pairs


def weighted_mean(
    terms: Float[Tensor, "pairs batch"], pairs: Pairs, weights: Float[Tensor, "views batch"], both: bool
) -> Float[Tensor, ""]:
    """Mean over terms of weight × term.

    Args:
        terms: one per pair of views and image.
        pairs: the views of each row of terms.
        weights: one per view and image, without gradient; all 1 gives the plain loss.
        both: False, the paper's way: a term weighs what its predicting view weighs. True: the product of both views'
            weights, rescaled to mean 1 over all terms of all ranks; a wrong view does as much harm as a target.
    """
    weight = weights[pairs.predictor]
    if both:
        weight = weight * weights[pairs.target]
        mean = sum_over_ranks(weight.sum()) / (weight.numel() * world_size())
        weight = weight / mean.clamp_min(1e-12)
    return (weight * terms).mean()
