"""Outlier probabilities of members by the two-groups model, from their scores and from those of exchanged members."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from scipy.optimize import nnls
from sklearn.metrics import roc_auc_score
from torch import Tensor

from uota.arbitration.strengths.two_groups import BINS, outlier_probability, outlier_shares, smoothing

RESAMPLES = 200
LEVELS = (0.025, 0.975)
# Most outliers of which, with a probability of 2.5 %, none has a score below the median of the null, where the share is
# estimated; no resample of members could show them.
NONE_SEEN = 2 * math.log(40)
# Ranges of scores in which members are counted to tell whether some belong to no group, and how much better counts must
# be explained with such members than without: chi-squared with one degree of freedom, at 1 %.
RANGES, SIGNIFICANT = 10, 6.63
# Quantile of the scores above which hardly any member is an outlier, and least area under the curve with which members
# of no group are told from what is seen above it, mirrored. In folders of varied pictures it is 0.88, and one member in
# six would seem to belong to no group.
HARDLY_ANY, TOLD = 0.6, 0.98
# Added to densities before they are divided.
LEAST = 1e-12


class Nulls(NamedTuple):
    """Scores of members that were exchanged on purpose, which are distributed as those of outliers.

    Attributes:
        misplaced: of members that belong to another group.
        foreign: of the same, as if there were no such group; None: no member belongs to no group.
    """

    misplaced: Float[Tensor, " exchanged"]
    foreign: Float[Tensor, " exchanged"] | None = None


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
    position, *null_positions = ranks(observed, *_both(nulls))
    of_bin, elsewhere, share = _estimate(*map(_histogram, (position, *null_positions)))
    centres = (np.arange(BINS) + 0.5) / BINS
    probability, elsewhere = (
        torch.from_numpy(np.interp(position.numpy(), centres, each.numpy())) for each in (of_bin, elsewhere)
    )
    return Estimate(probability, elsewhere, share)


def foreign_fraction(observed: Float[Tensor, " members"], nulls: Nulls) -> float:
    """Estimate which fraction of the outliers belongs to no group; 0 unless the scores say so with confidence.

    Below the median of foreign members' scores, counts of members are explained as a sum of counts of misplaced and of
    foreign ones, and of misplaced ones alone (non-negative least squares, weighted by the inverse of the counts). Right
    members have to be rare there.
    """
    assert nulls.foreign is not None
    misplaced, foreign, seen = (each.double().numpy() for each in (nulls.misplaced, nulls.foreign, observed))
    if _told_from_right(foreign, seen) < TOLD:
        return 0.0
    edges = [-np.inf, *np.quantile(foreign, np.linspace(0, 0.5, RANGES + 1)[1:])]
    counts = [np.histogram(each, edges)[0] for each in (misplaced, foreign, seen)]
    root = np.maximum(counts[2], 1) ** 0.5
    x, y = np.stack(counts[:2], 1) / root[:, None], counts[2] / root
    factors, unexplained = nnls(x, y)
    gain = nnls(x[:, :1], y)[1] ** 2 - unexplained**2
    return float(factors[1] / factors.sum()) if gain > SIGNIFICANT else 0.0


def _told_from_right(foreign: ndarray, seen: ndarray) -> float:
    """Return the area under the curve of foreign members' scores against those of right ones.

    Of these, the lower half is not seen without outliers, and the upper one is mirrored.
    """
    middle = np.quantile(seen, HARDLY_ANY)
    upper = seen[seen >= middle]
    right = np.concatenate([upper, 2 * middle - upper])
    is_right = np.repeat([False, True], [len(foreign), len(right)])
    return float(roc_auc_score(is_right, np.concatenate([foreign, right])))


def share_interval(
    observed: Float[Tensor, " members"],
    group: Int64[Tensor, " members"],
    nulls: Nulls,
    null_group: Int64[Tensor, " exchanged"],
    seed: int,
) -> tuple[float, float]:
    """Return the 95 % interval of the share of outliers, by a bootstrap over groups.

    Args:
        observed: scores of the members.
        group: their groups.
        nulls: scores of exchanged members.
        null_group: the groups that these came from.
        seed: of the bootstrap.
    """
    position, *null_positions = ranks(observed, *_both(nulls))
    groups = int(group.max()) + 1
    random = torch.Generator().manual_seed(seed)
    shares = torch.zeros(RESAMPLES, dtype=torch.float64)
    for place in range(RESAMPLES):
        times = torch.randint(groups, (groups,), generator=random).bincount(minlength=groups)
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


def _both(nulls: Nulls) -> tuple[Tensor, ...]:
    return (nulls.misplaced,) if nulls.foreign is None else (nulls.misplaced, nulls.foreign)


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
    densities = torch.stack([seen, foreign, misplaced]) @ smoothing()
    of_bin, share = outlier_probability(densities)
    elsewhere = torch.ones_like(of_bin) if len(nulls) == 1 else _elsewhere(densities)
    return of_bin, elsewhere, max(0.0, (share * float(count + 1) - 1) / max(1.0, float(count)))


def _elsewhere(densities: Float[Tensor, "3 bins"]) -> Float[Tensor, " bins"]:
    """Return the probability of outliers in each bin to be misplaced ones."""
    kinds = torch.tensor(outlier_shares(densities), dtype=densities.dtype)[:, None] * densities[1:]
    return (kinds[1] + LEAST) / (kinds.sum(0) + 2 * LEAST)
