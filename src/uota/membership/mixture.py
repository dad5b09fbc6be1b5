"""Outlier probabilities of members by the two-groups model, from their scores and from those of exchanged members."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from uota.arbitration.strengths.two_groups import BINS, outlier_probability, smoothing

RESAMPLES = 200
LEVELS = (0.025, 0.975)
# Most outliers of which, with a probability of 2.5 %, none has a score below the median of the null, where the share is
# estimated; no resample of members could show them.
NONE_SEEN = 2 * math.log(40)


def probabilities(observed: Float[Tensor, " members"], null: Float[Tensor, " exchanged"]) -> tuple[Tensor, float]:
    """Estimate each member's probability to be an outlier, and the share of outliers, as `TwoGroups` does for views.

    Args:
        observed: scores of the members.
        null: scores of members that were exchanged on purpose, which are distributed as those of outliers.
    """
    position, null_position = ranks(observed, null)
    of_bin, share = _estimate(_histogram(position), _histogram(null_position))
    centres = (np.arange(BINS) + 0.5) / BINS
    return torch.from_numpy(np.interp(position.numpy(), centres, of_bin.numpy())), share


def share_interval(
    observed: Float[Tensor, " members"],
    group: Int64[Tensor, " members"],
    null: Float[Tensor, " exchanged"],
    null_group: Int64[Tensor, " exchanged"],
    seed: int,
) -> tuple[float, float]:
    """Return the 95 % interval of the share of outliers, by a bootstrap over groups.

    Args:
        observed: scores of the members.
        group: their groups.
        null: scores of exchanged members.
        null_group: the groups that these came from.
        seed: of the bootstrap.
    """
    position, null_position = ranks(observed, null)
    groups = int(group.max()) + 1
    random = torch.Generator().manual_seed(seed)
    shares = torch.zeros(RESAMPLES, dtype=torch.float64)
    for place in range(RESAMPLES):
        times = torch.randint(groups, (groups,), generator=random).bincount(minlength=groups)
        shares[place] = _estimate(_histogram(position, times[group]), _histogram(null_position, times[null_group]))[1]
    low, high = shares.quantile(torch.tensor(LEVELS, dtype=torch.float64)).tolist()
    return low, max(high, min(1.0, NONE_SEEN / len(observed)))


def ranks(observed: Float[Tensor, " members"], null: Float[Tensor, " exchanged"]) -> tuple[Tensor, Tensor]:
    """Return the ranks of both among both, scaled to [0, 1]; equal scores have the mean of their ranks.

    The ratio of two densities is the same on any axis, and on this one both are spread out.
    """
    pooled = torch.cat([observed, null]).sort().values

    def rank(scores: Tensor) -> Tensor:
        below, upto = (torch.searchsorted(pooled, scores, right=right) for right in (False, True))
        return (below + upto).double() / (2 * len(pooled))

    return rank(observed), rank(null)


def _histogram(position: Float[Tensor, " scores"], times: Int64[Tensor, " scores"] | None = None) -> Tensor:
    bins = (position * BINS).long().clamp(max=BINS - 1)
    return bins.bincount(None if times is None else times.double(), minlength=BINS).double()


def _estimate(observed: Float[Tensor, " bins"], null: Float[Tensor, " bins"]) -> tuple[Tensor, float]:
    """Estimate the probability of each bin, and the share, from counts.

    The share is that below the median of the null. Of few members that are wrong, none may be there, which does not
    mean that none is wrong; so probabilities are those after one more such member was seen, which is not in the share.
    """
    outliers, count = null / null.sum().clamp_min(1), observed.sum()
    densities = torch.stack([(observed + outliers) / (count + 1), outliers, outliers])
    of_bin, share = outlier_probability(densities @ smoothing())
    return of_bin, max(0.0, (share * float(count + 1) - 1) / max(1.0, float(count)))
