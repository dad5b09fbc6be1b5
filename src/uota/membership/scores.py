"""Scores of membership: how well each member fits the other members of its group; higher is better."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from uota.membership.grouped import NEAR, TEMPERATURES, Grouped

# Added to shares before their logarithm is taken.
LEAST_SHARE = 1e-3
Score = Callable[[Grouped], Float[Tensor, " members"]]


def margin_to_mean(members: Grouped) -> Float[Tensor, " members"]:
    """Cosine to the centre of the other members, minus the mean cosine to all members."""
    return members.own - members.to_all


def centre(members: Grouped) -> Float[Tensor, " members"]:
    """Cosine to the mean of the other members."""
    return members.plain


def margin_to_nearest(members: Grouped) -> Float[Tensor, " members"]:
    """Cosine to the centre of the other members, minus that to the most similar centre of another group."""
    return members.own - members.crowd.nearest


def rank(members: Grouped) -> Float[Tensor, " members"]:
    """Minus the logarithm of the share of other groups whose centres are more similar than that of the own one."""
    return -(members.crowd.nearer + LEAST_SHARE).log()


def partners(members: Grouped) -> Float[Tensor, " members"]:
    """Mean cosine to single other members of the group; −1 if there are none."""
    there = members.to_partners > -1
    mean = members.to_partners.masked_fill(~there, 0).sum(1) / there.sum(1).clamp_min(1)
    return torch.where(there.any(1), mean, -1)


def contrast(members: Grouped, temperature: float) -> Float[Tensor, " members"]:
    """Cosine to the centre of the other members, minus T · log-mean-exp(cosine / T) over other groups' centres."""
    return members.own - members.crowd.soft_maximum[temperature]


def nearest(members: Grouped) -> Float[Tensor, " members"]:
    """Cosine to the nearest other member of the group, minus the mean cosine to all members."""
    return members.to_partners.max(1).values - members.to_all


def neighbours(members: Grouped, temperature: float) -> Float[Tensor, " members"]:
    """How much nearer the nearest members of the group are than those of other groups, for large and varied groups.

    It is a balanced form of the soft nearest neighbours of Goldberger et al., *Neighbourhood components analysis*
    (NeurIPS 2004): T · log-mean-exp(cosine / T) over the other members, minus the same over members of other groups.
    """
    return members.neighbours[temperature]


def cohort(members: Grouped) -> Float[Tensor, " members"]:
    """Cosine to the centre of the other members, standardised by two cohorts, as by `uota.arbitration.CohortScore`.

    These are the member's cosines to the centres of other groups, and the centre's to members of other groups.
    """
    own, crowd, (mean, deviation) = members.own, members.crowd, members.strangers
    group = members.group[members.rows]
    by_centre = (own - mean[group]) / deviation[group]
    return ((own - crowd.mean) / crowd.deviation + by_centre) / 2


SCORES: dict[str, Score] = {
    "centre": centre,
    "margin": margin_to_mean,
    "margin to nearest": margin_to_nearest,
    "rank": rank,
    "partners": partners,
    "cohort": cohort,
    **{f"contrast {t:g}": partial(contrast, temperature=t) for t in TEMPERATURES},
    "nearest": nearest,
    **{f"neighbours {t:g}": partial(neighbours, temperature=t) for t in NEAR},
}
