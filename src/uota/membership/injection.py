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

from uota.arbitration.selection import SHARE
from uota.membership.metric import METRICS, PLAIN, Metrics, by_metrics
from uota.membership.mixture import probabilities
from uota.membership.scores import SCORES
from uota.numerics import seed_of

# Members among whom scores are compared: of more, random groups, and of large groups random members.
MEMBERS, LARGEST = 4096, 512
# About how many exchanged members weights are fitted to, and how often members are exchanged for that.
FITTED, LEAST_EXCHANGES, MOST_EXCHANGES = 1500, 2, 6
# Inverse strength of the penalty on the weights of standardised scores. Of 0.001 to 0.1, the largest was the best on
# drawings and garments; boosted trees were worse.
PENALTY = 0.1
COMBINED = "all scores, weighted"


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

    def __call__(self, members: Metrics) -> Float[Tensor, " members"]:
        """Score members; higher is better."""
        scores = [weight * SCORES[each.score](members[each.metric]) for each, weight in self.weights.items()]
        return torch.stack(scores).sum(0)


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


@dataclass(frozen=True)
class Trials:
    """Scores of some members as they are, and after each of several exchanges.

    Attributes:
        observed: scores by `CANDIDATES` before any exchange.
        scores: scores after exchanges, standardised over all, as those before.
        scale: standard deviation that each candidate's scores were divided by.
        wrong: which members each exchange made wrong.
    """

    observed: Float[Tensor, "members candidates"]
    scores: Float[Tensor, "exchanges members candidates"]
    scale: Float[Tensor, " candidates"]
    wrong: Bool[Tensor, "exchanges members"]


def choose(z: Float[Tensor, "members dim"], group: Int64[Tensor, " members"], seed: int) -> Choice:
    """Choose the candidate or the weighted sum of candidates that finds exchanged members best, by average precision.

    The weights of the sum are those of a logistic regression of what was exchanged. It is judged by exchanges to which
    it was not fitted; of equal ones, the first candidate is taken. Members count the less as right ones, the more
    probably they were wrong before.

    Args:
        z: unit vectors.
        group: their groups, numbered without gaps.
        seed: of the samples and exchanges.
    """
    trials = run_trials(z, group, seed)
    every = range(len(trials.wrong))
    right = probably_right(trials)
    precisions = [[_precision(score, trials.wrong[each], right) for score in trials.scores[each].T] for each in every]
    found = dict(zip((each.name for each in CANDIDATES), np.mean(precisions, 0).tolist(), strict=True))
    single = max(CANDIDATES, key=lambda each: found[each.name])
    halves = every[::2], every[1::2]
    found[COMBINED] = float(np.mean([_precision_of_sum(trials, *pair, right) for pair in (halves, halves[::-1])]))
    best = Weighted(single.name, {single: 1.0})
    if found[COMBINED] > found[single.name]:
        weights = fit_weights(trials, every) / trials.scale
        best = Weighted(COMBINED, dict(zip(CANDIDATES, weights.tolist(), strict=True)))
    return Choice(best, dict(sorted(found.items(), key=lambda pair: -pair[1])))


def run_trials(z: Float[Tensor, "members dim"], group: Int64[Tensor, " members"], seed: int) -> Trials:
    """Score a sample of the members by all candidates as they are, and after exchanges."""
    sample = some_groups(group, seed)
    group, z = group[sample].unique(return_inverse=True)[1], z[sample]
    wanted = -(-FITTED // max(1, round(SHARE * len(group))))
    repeats = min(max(wanted, LEAST_EXCHANGES), MOST_EXCHANGES)
    exchanges = [exchange(group, seed_of(seed, repeat)) for repeat in range(repeats)]
    groups, gram = int(group.max()) + 1, z @ z.T
    groupings = [group, *(each.group for each in exchanges)]
    scores = torch.stack([_all_scores(by_metrics(z, each, groups, seed, gram)) for each in groupings])
    scale = scores[1:].double().std((0, 1)).clamp_min(1e-9).to(scores)
    standardised = (scores - scores[1:].double().mean((0, 1)).to(scores)) / scale
    return Trials(standardised[0], standardised[1:], scale, torch.stack([each.wrong for each in exchanges]))


def fit_weights(trials: Trials, exchanges: Sequence[int]) -> Float[Tensor, " candidates"]:
    """Fit weights of the standardised scores to some exchanges; of a sum of which higher is better.

    Members that were wrong before stand among the others. If they score as exchanged ones do, this changes no order:
    the larger the share of exchanged members among all of a score, the larger among right ones.
    """
    chosen = list(exchanges)
    x, y = trials.scores[chosen].flatten(0, 1).double().numpy(), trials.wrong[chosen].flatten().numpy()
    fitted = LogisticRegression(C=PENALTY, max_iter=1000).fit(x, ~y)
    return torch.from_numpy(fitted.coef_[0]).to(trials.scores)


def probably_right(trials: Trials) -> Float[Tensor, " members"]:
    """Return the probability of each member to belong to its group before any exchange, by the weighted sum."""
    weights = fit_weights(trials, range(len(trials.wrong)))
    return 1 - probabilities(trials.observed @ weights, (trials.scores @ weights)[trials.wrong])[0]


def _precision_of_sum(trials: Trials, fitted: Sequence[int], unseen: Sequence[int], right: Tensor) -> float:
    """Return the mean average precision on some exchanges of the sum whose weights are fitted to others."""
    weights = fit_weights(trials, fitted)
    return float(np.mean([_precision(trials.scores[each] @ weights, trials.wrong[each], right) for each in unseen]))


def _precision(score: Float[Tensor, " members"], wrong: Bool[Tensor, " members"], right: Tensor) -> float:
    """Return the average precision in finding exchanged members among those that were probably right."""
    return float(average_precision_score(wrong, -score, sample_weight=torch.where(wrong, 1, right)))


def some_groups(group: Int64[Tensor, " members"], seed: int) -> Int64[Tensor, " sample"]:
    """Return the members of random groups, of about `MEMBERS` members together; of large groups, random members."""
    random = torch.Generator().manual_seed(seed)
    all_sizes = group.bincount()
    shuffled = torch.randperm(len(group), generator=random)
    filed = shuffled[group[shuffled].argsort(stable=True)]
    place = torch.arange(len(group)) - (all_sizes.cumsum(0) - all_sizes)[group[filed]]
    sizes = all_sizes.clamp_max(LARGEST)
    order = torch.randperm(len(sizes), generator=random)
    before = sizes[order].cumsum(0) - sizes[order]
    chosen = torch.zeros(len(sizes), dtype=torch.bool).scatter_(0, order, before < MEMBERS)
    return filed[chosen[group[filed]] & (place < LARGEST)].sort().values


def _all_scores(members: Metrics) -> Float[Tensor, "members candidates"]:
    return torch.stack([SCORES[each.score](members[each.metric]) for each in CANDIDATES], 1)
