"""Which scores find members that do not belong: chosen by how well they find members that were exchanged on purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from torch import Tensor

from uota.membership.foreign import NONE, Foreign, find_foreign
from uota.membership.injection import CANDIDATES, Candidate, Trial
from uota.membership.mixture import Nulls, estimate

# Inverse strength of the penalty on the weights of standardised scores. Of 0.001 to 0.1, the largest was the best on
# drawings and garments; boosted trees were worse.
PENALTY = 0.1
COMBINED = "all scores, weighted"
# Fraction of the outliers above which weights are fitted to members of no group, too. Where all belong to another
# group, fractions up to 0.7 were estimated, and it cost 0.06 on sentences.
NEARLY_ALL = 0.8
# What stands for a deviation of 0.
LEAST_DEVIATION = 1e-9


@dataclass(frozen=True)
class Weighted:
    """A weighted sum of scores; a single score has the weight 1.

    Attributes:
        name: name to show to people.
        weights: weight of each candidate.
    """

    name: str
    weights: Mapping[Candidate, float]

    def __call__(self, scores: Float[Tensor, "members candidates"]) -> Float[Tensor, " members"]:
        """Sum the scores of members by `CANDIDATES`; higher is better."""
        return scores @ torch.tensor([self.weights.get(each, 0.0) for each in CANDIDATES], dtype=scores.dtype)


@dataclass(frozen=True)
class Choice:
    """What finds exchanged members best.

    Attributes:
        best: a candidate, or the weighted sum of all.
        found: average precision in finding exchanged members by name, the best first.
        foreign: what is known of members that belong to no group.
    """

    best: Weighted
    found: dict[str, float]
    foreign: Foreign = NONE


def choose(observed: Trial, trials: Sequence[Trial]) -> Choice:
    """Choose the candidate or the weighted sum of candidates that finds exchanged members best.

    If nearly all outliers seem to belong to no group, the choice is made again for finding both kinds. If fewer do, it
    is not: that costs some average precision in finding the others, and the estimate may be wrong.

    Args:
        observed: scores of members before any exchange; none is known to be wrong.
        trials: after several.
    """
    choice = _choose(observed, trials, 0.0)
    nulls = known_outliers(trials[1::2], choice.best)
    foreign = find_foreign(*(each.double().numpy() for each in (choice.best(observed.scores), *nulls)))
    return replace(_choose(observed, trials, 0.5) if foreign.expected > NEARLY_ALL else choice, foreign=foreign)


def _choose(observed: Trial, trials: Sequence[Trial], foreign: float) -> Choice:
    """Choose what finds exchanged members best, by average precision.

    The weights of the sum are those of a logistic regression of what was exchanged in every other trial. It is judged
    by those to which it was not fitted; of equal ones, the first candidate is taken. Members count the less as right
    ones, the more probably they were wrong before.
    """
    halves = trials[::2], trials[1::2]
    weights, swapped = (fit_weights(half, foreign) for half in halves)
    right = probably_right(observed, halves[1], weights)

    def precision(score: Tensor, trial: Trial) -> float:
        weight = torch.where(trial.wrong, trial.weight(foreign), right[trial.rows])
        return float(average_precision_score(trial.wrong, -score, sample_weight=weight))

    precisions = [[precision(score, each) for score in each.scores.T] for each in trials]
    found = dict(zip((each.name for each in CANDIDATES), np.mean(precisions, 0).tolist(), strict=True))
    single = max(CANDIDATES, key=lambda each: found[each.name])
    sums = [precision(weights(each.scores), each) for each in halves[1]]
    sums += [precision(swapped(each.scores), each) for each in halves[0]]
    found[COMBINED] = float(np.mean(sums))
    best = weights if found[COMBINED] > found[single.name] else Weighted(single.name, {single: 1.0})
    return Choice(best, dict(sorted(found.items(), key=lambda pair: -pair[1])))


def fit_weights(trials: Sequence[Trial], foreign: float = 0.0) -> Weighted:
    """Fit weights to what was exchanged; of a sum of which higher is better.

    Members that were wrong before stand among the others. If they score as exchanged ones do, this changes no order:
    the larger the share of exchanged members among all of a score, the larger among right ones.

    Args:
        trials: scores of exchanged members and others.
        foreign: fraction that those count that look like members of no group.
    """
    every = [(each.scores, each.wrong, each.weight(foreign)) for each in trials]
    scores, wrong, weight = map(torch.cat, zip(*every, strict=True))
    counted = weight > 0
    scores, wrong, weight = scores[counted], wrong[counted], weight[counted]
    deviation = scores.double().std(0).clamp_min(LEAST_DEVIATION)
    x = ((scores - scores.double().mean(0)) / deviation).numpy()
    fitted = LogisticRegression(C=PENALTY, max_iter=1000).fit(x, ~wrong.numpy(), weight.numpy())
    weights = torch.from_numpy(fitted.coef_[0]) / deviation
    return Weighted(COMBINED, dict(zip(CANDIDATES, weights.tolist(), strict=True)))


def known_outliers(trials: Sequence[Trial], score: Weighted) -> tuple[Tensor, Tensor]:
    """Return the scores of exchanged members, with and without the groups that they belong to."""
    of_each = [[score(each.scores[kind]) for kind in (each.misplaced, each.foreign)] for each in trials]
    misplaced, foreign = map(torch.cat, zip(*of_each, strict=True))
    return misplaced, foreign


def probably_right(observed: Trial, trials: Sequence[Trial], score: Weighted) -> Float[Tensor, " members"]:
    """Return the probability of each observed member to belong to its group; of others, 1."""
    nulls = Nulls(known_outliers(trials, score)[0])
    right = torch.ones(int(observed.rows.max()) + 1, dtype=torch.float64)
    right[observed.rows] -= estimate(score(observed.scores), nulls).probability
    return right
