"""Whether some of the members that do not belong to their group belong to none."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.metrics import roc_auc_score

# Ranges of scores in which members are counted, and members that are expected in each whatever the model, so that a few
# right ones that stray there prove nothing.
RANGES, STRAY = 10, 0.1
# Steps of expectation and maximisation, and the shares that they start from.
STEPS, START = 300, 0.05
# What stands for 0 below a fraction.
LEAST = 1e-9
# Quantile of the scores above which hardly any member is an outlier, and least area under the curve with which members
# of no group are told from what is seen above it, mirrored. In folders of varied pictures it is 0.88, and one member in
# six would seem to belong to no group.
HARDLY_ANY, TOLD = 0.6, 0.98
# Expected fraction of the outliers below which members of no group are left out of account.
IGNORED = 0.1
# Probability from which people are told of them.
SURE = 0.9


class Foreign(NamedTuple):
    """What is known of members that belong to no group.

    Attributes:
        trust: probability that there are some.
        fraction: estimated fraction of the outliers that they are, if so.
    """

    trust: float
    fraction: float

    @property
    def expected(self) -> float:
        """Expected fraction of the outliers that belong to no group."""
        return self.trust * self.fraction

    @property
    def told(self) -> float:
        """What people are told: the fraction, or 0 where it is not sure that there are any."""
        return self.fraction if self.trust > SURE else 0.0


NONE = Foreign(trust=0.0, fraction=0.0)


def find_foreign(
    observed: Float[ndarray, " members"], misplaced: Float[ndarray, " exchanged"], foreign: Float[ndarray, " exchanged"]
) -> Foreign:
    """Find out whether some outliers belong to no group.

    Below the median of foreign members' scores, where right members have to be rare, counts of members are explained by
    misplaced members alone, and by both (expectation and maximisation under Poisson's distribution). Both are weighed
    by the Bayesian information criterion (Kass and Raftery, *Bayes factors*, 1995), for one parameter more.

    Args:
        observed: scores of the members; higher is better.
        misplaced: scores of members that are known to belong to another group.
        foreign: scores of the same, as if there were no such group.
    """
    if _told_from_right(foreign, observed) < TOLD:
        return NONE
    edges = [-np.inf, *np.quantile(foreign, np.linspace(0, 0.5, RANGES + 1)[1:])]
    seen, *known = (np.histogram(each, edges)[0].astype(float) for each in (observed, misplaced, foreign))
    of_all = len(observed) * np.stack([known[0] / len(misplaced), known[1] / len(foreign)])
    shares, likelihood = _explain(seen, of_all)
    gain = likelihood - _explain(seen, of_all[:1])[1]
    trust = 1 / (1 + math.exp(math.log(len(observed)) / 2 - gain))
    found = Foreign(trust, float(shares[1] / max(shares.sum(), LEAST)))
    return found if found.expected > IGNORED else NONE


def _explain(
    seen: Float[ndarray, " ranges"], of_all: Float[ndarray, "kinds ranges"]
) -> tuple[Float[ndarray, " kinds"], float]:
    """Return the shares of the kinds of outliers that explain counts best, and the logarithm of the likelihood.

    Args:
        seen: number of members in each range of scores.
        of_all: how many would be there if all members were of one kind.
    """
    shares = np.full(len(of_all), START)
    for _ in range(STEPS):
        shares *= of_all @ (seen / (STRAY + shares @ of_all)) / np.maximum(of_all.sum(1), LEAST)
    expected = STRAY + shares @ of_all
    return shares, float((seen * np.log(expected) - expected).sum())


def _told_from_right(foreign: Float[ndarray, " exchanged"], seen: Float[ndarray, " members"]) -> float:
    """Return the area under the curve of foreign members' scores against those of right ones.

    Of these, the lower half is not seen without outliers, and the upper one is mirrored.
    """
    middle = np.quantile(seen, HARDLY_ANY)
    upper = seen[seen >= middle]
    right = np.concatenate([upper, 2 * middle - upper])
    is_right = np.repeat([False, True], [len(foreign), len(right)])
    return float(roc_auc_score(is_right, np.concatenate([foreign, right])))
