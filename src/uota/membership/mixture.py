"""Outlier probabilities of members by the two-groups model, from their scores and from those of exchanged members."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from uota.arbitration.strengths.two_groups import BINS, outlier_probability, outlier_shares, smoothing

RESAMPLES = 200
LEVELS = (0.025, 0.975)
# Most outliers of which, with a probability of 2.5 %, none has a score below the median of the null, where the share is
# estimated; no resample of members could show them.
NONE_SEEN = 2 * math.log(40)
# Added to densities before they are divided.
LEAST = 1e-12


class Nulls(NamedTuple):
    """Scores of members that were exchanged on purpose, which are distributed as those of outliers.

    Attributes:
        misplaced: of members that belong to another group.
        foreign: of the same, as if there were no such group; None: of none.
        trust: probability that some members belong to no group.
    """

    misplaced: Float[Tensor, " exchanged"]
    foreign: Float[Tensor, " exchanged"] | None = None
    trust: float = 1.0


class Estimate(NamedTuple):
    """Which members are outliers.

    Attributes:
        probability: that each member is one.
        elsewhere: probability of each to belong to another group, given that it is one.
        share: estimated share of outliers.
    """

    probability: Float[Tensor, " members"]
    elsewhere: Float[Tensor, " members"]
    share: float


def estimate(observed: Float[Tensor, " members"], nulls: Nulls) -> Estimate:
    """Estimate each member's probability to be an outlier, and the share of outliers, as `TwoGroups` does for views.

    Args:
        observed: scores of the members.
        nulls: scores of members that are known to be outliers.
    """
    found = _estimate_with(observed, nulls.misplaced)
    if nulls.foreign is None:
        return found
    both = _estimate_with(observed, nulls.misplaced, nulls.foreign)
    return Estimate(
        torch.lerp(found.probability, both.probability, nulls.trust),
        torch.lerp(found.elsewhere, both.elsewhere, nulls.trust),
        (1 - nulls.trust) * found.share + nulls.trust * both.share,
    )


def _estimate_with(observed: Float[Tensor, " members"], *nulls: Float[Tensor, " exchanged"]) -> Estimate:
    position, *null_positions = ranks(observed, *nulls)
    of_bin, elsewhere, share = _estimate(*map(_histogram, (position, *null_positions)))
    centres = (np.arange(BINS) + 0.5) / BINS
    probability, elsewhere = (
        torch.from_numpy(np.interp(position.numpy(), centres, each.numpy())) for each in (of_bin, elsewhere)
    )
    return Estimate(probability, elsewhere, share)


def share_interval(
    observed: Float[Tensor, " members"],
    group: Int64[Tensor, " members"],
    nulls: Nulls,
    null_group: Int64[Tensor, " exchanged"],
    seed: int,
) -> tuple[float, float]:
    """Return the 95 % interval of the share of outliers, by a bootstrap over groups.

    In as many of the resamples as there are probably members of no group, such are looked for.

    Args:
        observed: scores of the members.
        group: their groups.
        nulls: scores of exchanged members.
        null_group: the groups that these came from.
        seed: of the bootstrap.
    """
    kinds = [(nulls.misplaced,)] if nulls.foreign is None else [(nulls.misplaced,), (nulls.misplaced, nulls.foreign)]
    positions = [ranks(observed, *each) for each in kinds]
    groups = int(group.max()) + 1
    random = torch.Generator().manual_seed(seed)
    shares = torch.zeros(RESAMPLES, dtype=torch.float64)
    for place in range(RESAMPLES):
        times = torch.randint(groups, (groups,), generator=random).bincount(minlength=groups)
        position, *null_positions = positions[len(kinds) > 1 and place < nulls.trust * RESAMPLES]
        null_counts = (_histogram(each, times[null_group]) for each in null_positions)
        shares[place] = _estimate(_histogram(position, times[group]), *null_counts)[-1]
    low, high = shares.quantile(torch.tensor(LEVELS, dtype=torch.float64)).tolist()
    return low, max(high, min(1.0, NONE_SEEN / len(observed)))


def ranks(*kinds: Float[Tensor, " _"]) -> list[Float[Tensor, " _"]]:
    """Return the ranks of scores among those of all kinds, scaled to [0, 1]; equal scores have the mean of their ranks.

    The ratio of two densities is the same on any axis, and on this one all are spread out.
    """
    pooled = torch.cat(kinds).sort().values

    def rank(scores: Tensor) -> Tensor:
        below, upto = (torch.searchsorted(pooled, scores, right=right) for right in (False, True))
        return (below + upto).double() / (2 * len(pooled))

    return [rank(each) for each in kinds]


def _histogram(position: Float[Tensor, " scores"], times: Int64[Tensor, " scores"] | None = None) -> Tensor:
    bins = (position * BINS).long().clamp(max=BINS - 1)
    return bins.bincount(None if times is None else times.double(), minlength=BINS).double()


def _estimate(observed: Float[Tensor, " bins"], *nulls: Float[Tensor, " bins"]) -> tuple[Tensor, Tensor, float]:
    """Estimate both probabilities of each bin, and the share, from counts.

    The share is that below the median of a null. Of few members that are wrong, none may be there, which does not mean
    that none is wrong; so probabilities are those after one more such member was seen, which is not in the share.
    """
    known, count = [null / null.sum().clamp_min(1) for null in nulls], observed.sum()
    seen = (observed + torch.stack(known).mean(0)) / (count + 1)
    misplaced, foreign = known[0], known[-1]
    densities = torch.stack([seen, foreign, misplaced]) @ smoothing(seen.device)
    of_bin, share = outlier_probability(densities)
    elsewhere = torch.ones_like(of_bin) if len(nulls) == 1 else _elsewhere(densities)
    return of_bin, elsewhere, max(0.0, (float(share) * float(count + 1) - 1) / max(1.0, float(count)))


def _elsewhere(densities: Float[Tensor, "3 bins"]) -> Float[Tensor, " bins"]:
    """Return the probability of outliers in each bin to be misplaced ones."""
    kinds = outlier_shares(densities)[:, None] * densities[1:]
    return (kinds[1] + LEAST) / (kinds.sum(0) + 2 * LEAST)
