"""Injection: members exchanged between groups on purpose, which show what outliers score and which scores find them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from torch import Tensor

from uota.membership.metric import METRICS, PLAIN, Metrics, by_metrics
from uota.membership.mixture import probabilities
from uota.membership.projection import Vectors
from uota.membership.scores import SCORES
from uota.membership.shares import of_all_ranks, own_share
from uota.numerics import seed_of

# Share of the members that is exchanged at a time: the more, the less is left of the groups they are compared with.
SHARE = 0.05
# Members that stay, among whom exchanged ones are looked for, of more a random sample.
STAYING = 4096
# About how many exchanged members are looked at, for the weights and for the rest each; and most exchanges.
EXCHANGED, EXCHANGES = 1000, 16
# Inverse strength of the penalty on the weights of standardised scores. Of 0.001 to 0.1, the largest was the best on
# drawings and garments; boosted trees were worse.
PENALTY = 0.1
COMBINED = "all scores, weighted"
# What stands for a deviation of 0.
LEAST_DEVIATION = 1e-9


@dataclass(frozen=True)
class Candidate:
    """A way to score members: one of `METRICS`, and one of `SCORES`."""

    metric: str
    score: str

    @property
    def name(self) -> str:
        """Name to show to people."""
        return self.score if self.metric == PLAIN else f"{self.score}, {self.metric}"


CANDIDATES = tuple(Candidate(*each) for each in product(METRICS, SCORES))


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
    """

    best: Weighted
    found: dict[str, float]


class Exchanged(NamedTuple):
    """Groups after some members were exchanged.

    Attributes:
        group: number of each member's group.
        moved: members whose group is another one.
        wrong: members that do not belong: those, and the other member of a group of two, as nothing says which of two
            members that do not belong together is wrong.
    """

    group: Int64[Tensor, " members"]
    moved: Bool[Tensor, " members"]
    wrong: Bool[Tensor, " members"]


def exchange(group: Int64[Tensor, " members"], seed: int, share: float = SHARE) -> Exchanged:
    """Exchange the groups of randomly chosen members.

    Groups of one member stay as they are, and no group changes its size. There must be two groups of more.
    """
    random, sizes = torch.Generator().manual_seed(seed), group.bincount()
    several = torch.nonzero(sizes[group] > 1)[:, 0]
    count = min(len(several), max(2, round(share * len(several))))
    moved = torch.zeros_like(group, dtype=torch.bool)
    while not moved.any():  # as few members can all be of one group
        chosen = several[torch.randperm(len(several), generator=random)[:count]]
        exchanged = group.scatter(0, chosen, group[chosen.roll(1)])
        moved = exchanged != group
    broken = torch.zeros_like(sizes, dtype=torch.bool).index_fill(0, exchanged[moved], True) & (sizes == 2)
    return Exchanged(exchanged, moved, moved | broken[exchanged])


class Trial(NamedTuple):
    """Scores of members after an exchange.

    Attributes:
        rows: the members; all that are wrong, and some of the others.
        scores: by `CANDIDATES`.
        wrong: which of them do not belong.
    """

    rows: Int64[Tensor, " rows"]
    scores: Float[Tensor, "rows candidates"]
    wrong: Bool[Tensor, " rows"]


def exchanges(group: Int64[Tensor, " members"], seed: int) -> list[Exchanged]:
    """Exchange members as often as it takes to know what becomes of them: an even number of times."""
    of_each = 1 + int(EXCHANGED / (SHARE * len(group)))
    return [exchange(group, seed_of(seed, place)) for place in range(min(EXCHANGES, 2 * of_each))]


def try_scores(
    z: Vectors,
    exchanged: Exchanged,
    several: Int64[Tensor, " several"],
    seed: int,
    gram: Float[Tensor, "members members"] | None = None,
) -> tuple[Trial, Metrics]:
    """Score exchanged members, and some of the others.

    Args:
        z: unit vectors of all members.
        exchanged: their groups.
        several: members of groups of two or more.
        seed: of the samples.
        gram: products of all vectors, if they are known.

    Returns:
        The scores, and the members in their groups.
    """
    random = torch.Generator().manual_seed(seed)
    staying = several[~exchanged.wrong[several]]
    staying = staying[torch.randperm(len(staying), generator=random)[:STAYING]]
    rows = torch.cat([torch.nonzero(exchanged.wrong)[:, 0], staying]).sort().values
    groups = int(exchanged.group.max()) + 1
    members = by_metrics(z, exchanged.group, groups, seed, gram, own_share(rows))
    return Trial(rows, score_all(members), exchanged.wrong[rows]), members


def score_all(members: Metrics) -> Float[Tensor, "rows candidates"]:
    """Score members by `CANDIDATES`; ranks share the work."""
    return of_all_ranks(torch.stack([SCORES[each.score](members[each.metric]) for each in CANDIDATES], 1))[0]


def choose(observed: Trial, trials: Sequence[Trial]) -> Choice:
    """Choose the candidate or the weighted sum of candidates that finds exchanged members best, by average precision.

    The weights of the sum are those of a logistic regression of what was exchanged in every other trial. It is judged
    by those to which it was not fitted; of equal ones, the first candidate is taken. Members count the less as right
    ones, the more probably they were wrong before.

    Args:
        observed: scores of members before any exchange; none is known to be wrong.
        trials: after several.
    """
    halves = trials[::2], trials[1::2]
    weights = fit_weights(halves[0])
    right = probably_right(observed, halves[1], weights)
    precisions = [[_precision(score, each, right) for score in each.scores.T] for each in trials]
    found = dict(zip((each.name for each in CANDIDATES), np.mean(precisions, 0).tolist(), strict=True))
    single = max(CANDIDATES, key=lambda each: found[each.name])
    sums = [_precision(weights(each.scores), each, right) for each in halves[1]]
    swapped = fit_weights(halves[1])
    sums += [_precision(swapped(each.scores), each, right) for each in halves[0]]
    found[COMBINED] = float(np.mean(sums))
    best = weights if found[COMBINED] > found[single.name] else Weighted(single.name, {single: 1.0})
    return Choice(best, dict(sorted(found.items(), key=lambda pair: -pair[1])))


def fit_weights(trials: Sequence[Trial]) -> Weighted:
    """Fit weights to what was exchanged; of a sum of which higher is better.

    Members that were wrong before stand among the others. If they score as exchanged ones do, this changes no order:
    the larger the share of exchanged members among all of a score, the larger among right ones.
    """
    scores, wrong = (torch.cat([each[place] for each in trials]) for place in (1, 2))
    deviation = scores.double().std(0).clamp_min(LEAST_DEVIATION)
    x = ((scores - scores.double().mean(0)) / deviation).numpy()
    fitted = LogisticRegression(C=PENALTY, max_iter=1000).fit(x, ~wrong.numpy())
    weights = torch.from_numpy(fitted.coef_[0]) / deviation
    return Weighted(COMBINED, dict(zip(CANDIDATES, weights.tolist(), strict=True)))


def probably_right(observed: Trial, trials: Sequence[Trial], score: Weighted) -> Float[Tensor, " members"]:
    """Return the probability of each observed member to belong to its group; of others, 1."""
    null = torch.cat([score(each.scores[each.wrong]) for each in trials])
    right = torch.ones(int(observed.rows.max()) + 1, dtype=torch.float64)
    right[observed.rows] -= probabilities(score(observed.scores), null)[0]
    return right


def _precision(score: Float[Tensor, " rows"], trial: Trial, right: Float[Tensor, " members"]) -> float:
    """Return the average precision in finding exchanged members among those that were probably right."""
    weight = torch.where(trial.wrong, 1, right[trial.rows])
    return float(average_precision_score(trial.wrong, -score, sample_weight=weight))
