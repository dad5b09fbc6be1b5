"""Injection: members exchanged between groups on purpose, which show what outliers score and which scores find them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from uota.arbitration.selection import SHARE, average_precision, not_suspected
from uota.membership.grouped import Grouped
from uota.membership.mixture import probabilities
from uota.membership.projected import Features, project, projected
from uota.membership.scores import SCORES
from uota.numerics import seed_of

# Depths of an encoder that are combined; of features of other kinds, all are combined.
COMBINATIONS = (("output",), ("last", "before"), ("output", "last", "before"))
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
    """A way to score members: which features, and which of `SCORES`."""

    parts: tuple[str, ...]
    score: str

    @property
    def name(self) -> str:
        """Name to show to people."""
        return f"{self.score} of {' + '.join(self.parts)}"


@dataclass(frozen=True)
class Weighted:
    """A weighted sum of scores; a single score has the weight 1.

    Attributes:
        name: name to show to people.
        weights: weight of each candidate.
    """

    name: str
    weights: Mapping[Candidate, float]


@dataclass(frozen=True)
class Choice:
    """What finds exchanged members best.

    Attributes:
        best: a candidate, or the weighted sum of all.
        parts: the features with which a single candidate finds them best.
        found: average precision in finding exchanged members by name, the best first.
    """

    best: Weighted
    parts: tuple[str, ...]
    found: dict[str, float]


class Scorer:
    """Scores of the same members in several groupings.

    Args:
        features: features of the members, by kind.
        weighted: what is summed.
        seed: of the samples.
    """

    def __init__(self, features: Features, weighted: Weighted, seed: int) -> None:
        self.weighted, self.seed = weighted, seed
        self.z = {parts: projected(features, parts) for parts in dict.fromkeys(each.parts for each in weighted.weights)}
        self.gram = {parts: z[:] @ z[:].T if len(z) <= MEMBERS else None for parts, z in self.z.items()}

    def grouped(
        self, group: Int64[Tensor, " members"], groups: int, chosen: Int64[Tensor, " chosen"]
    ) -> dict[tuple[str, ...], Grouped]:
        """Return the members in these groups, by the features that are used together; some are chosen to be scored."""
        return {parts: Grouped(z, group, groups, self.seed, self.gram[parts], chosen) for parts, z in self.z.items()}

    def __call__(self, members: Mapping[tuple[str, ...], Grouped]) -> Float[Tensor, " chosen"]:
        """Score the chosen members; higher is better."""
        parts = [weight * SCORES[each.score](members[each.parts]) for each, weight in self.weighted.weights.items()]
        return torch.stack(parts).sum(0)


def combinations(features: Features) -> list[tuple[str, ...]]:
    """Return the kinds of features that are used together."""
    return [parts for parts in COMBINATIONS if features.keys() >= set(parts)] or [tuple(features)]


def exchange(
    group: Int64[Tensor, " members"], seed: int, share: float = SHARE
) -> tuple[Int64[Tensor, " members"], Bool[Tensor, " members"]]:
    """Exchange the groups of randomly chosen members.

    Groups of one member stay as they are, and no group changes its size.

    Returns:
        The groups, and which members are in another one.
    """
    random = torch.Generator().manual_seed(seed)
    several = torch.nonzero(group.bincount()[group] > 1)[:, 0]
    count = min(len(several), max(2, round(share * len(several))))
    chosen = several[torch.randperm(len(several), generator=random)[:count]]
    exchanged = group.scatter(0, chosen, group[chosen.roll(1)])
    return exchanged, exchanged != group


@dataclass(frozen=True)
class Trials:
    """Scores of some members as they are, and after each exchange.

    Attributes:
        candidates: what made the scores.
        scores: standardised over all groupings; the first grouping is that of the members as they are.
        scale: standard deviation that each candidate's scores were divided by.
        injected: which members each exchange put into another group.
        kept: what most candidates do not suspect before any exchange; the rest is left out.
    """

    candidates: Sequence[Candidate]
    scores: Float[Tensor, "groupings members candidates"]
    scale: Float[Tensor, " candidates"]
    injected: Bool[Tensor, "exchanges members"]
    kept: Bool[Tensor, " members"]

    def of(self, exchange: int) -> tuple[Float[Tensor, "some candidates"], Bool[Tensor, " some"]]:
        """Return the scores after an exchange, and which are of exchanged members; without suspected ones."""
        injected = self.injected[exchange]
        used = self.kept | injected
        return self.scores[exchange + 1][used], injected[used]


def choose(features: Features, group: Int64[Tensor, " members"], seed: int) -> Choice:
    """Choose the candidate or the weighted sum of candidates that finds exchanged members best, by average precision.

    The weights of the sum are those of a logistic regression of what was exchanged. It is judged by exchanges to which
    it was not fitted; of equal ones, the first candidate is taken.

    Args:
        features: features of the members, by kind.
        group: their groups, numbered without gaps.
        seed: of the samples and exchanges.
    """
    trials = run_trials(features, group, seed)
    every = range(len(trials.injected))
    each_trial = [trials.of(exchange) for exchange in every]
    precision = torch.tensor([[_precision(score, wrong) for score in scores.T] for scores, wrong in each_trial])
    found = dict(zip((each.name for each in trials.candidates), precision.mean(0).tolist(), strict=True))
    single = max(trials.candidates, key=lambda each: found[each.name])
    halves = every[::2], every[1::2]
    found[COMBINED] = float(np.mean([_precision_of_sum(trials, *pair) for pair in (halves, halves[::-1])]))
    best = Weighted(single.name, {single: 1.0})
    if found[COMBINED] > found[single.name]:
        weights = fit_weights(trials, every) / trials.scale
        best = Weighted(COMBINED, dict(zip(trials.candidates, weights.tolist(), strict=True)))
    return Choice(best, single.parts, dict(sorted(found.items(), key=lambda pair: -pair[1])))


def run_trials(features: Features, group: Int64[Tensor, " members"], seed: int) -> Trials:
    """Score a sample of the members by all candidates, as they are and after exchanges."""
    sample = some_groups(group, seed)
    group = group[sample].unique(return_inverse=True)[1]
    wanted = -(-FITTED // max(1, round(SHARE * len(group))))
    repeats = min(max(wanted, LEAST_EXCHANGES), MOST_EXCHANGES)
    exchanges = [exchange(group, seed_of(seed, repeat)) for repeat in range(repeats)]
    groupings = [group, *(exchanged for exchanged, _ in exchanges)]
    parts = combinations(features)
    candidates = [Candidate(each, score) for each, score in product(parts, SCORES)]
    scores = torch.cat([_all_scores(project(_of(features, each, sample), each), groupings, seed) for each in parts], 2)
    injected = torch.stack([wrong for _, wrong in exchanges])
    nulls = [scores[1:, :, place][injected] for place in range(len(candidates))]
    suspected = [probabilities(each.contiguous(), null)[0] > 0.5 for each, null in zip(scores[0].T, nulls, strict=True)]
    scale = scores[1:].double().std((0, 1)).clamp_min(1e-9)
    standardised = (scores - scores[1:].double().mean((0, 1)).to(scores)) / scale.to(scores)
    return Trials(candidates, standardised, scale, injected, not_suspected(torch.stack(suspected)))


def fit_weights(trials: Trials, exchanges: Sequence[int]) -> Float[Tensor, " candidates"]:
    """Fit weights of the standardised scores to some exchanges; of a sum of which higher is better."""
    parts = [trials.of(exchange) for exchange in exchanges]
    x, y = (np.concatenate([part[place].numpy() for part in parts]) for place in (0, 1))
    fitted = LogisticRegression(C=PENALTY, max_iter=1000).fit(x.astype(np.float64), ~y)
    return torch.from_numpy(fitted.coef_[0]).to(trials.scores)


def _precision_of_sum(trials: Trials, fitted: Sequence[int], unseen: Sequence[int]) -> float:
    """Return the mean average precision on some exchanges of the sum whose weights are fitted to others."""
    weights = fit_weights(trials, fitted)
    return float(np.mean([_precision(scores @ weights, wrong) for scores, wrong in map(trials.of, unseen)]))


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


def _of(features: Features, parts: Iterable[str], sample: Tensor) -> dict[str, Tensor]:
    return {part: features[part][sample] for part in parts}


def _all_scores(z: Float[Tensor, "members dim"], groupings: Sequence[Tensor], seed: int) -> Tensor:
    """Compute all scores of all groupings: (groupings, members, scores)."""
    groups, gram = int(groupings[0].max()) + 1, z @ z.T
    of_groupings = []
    for grouping in groupings:
        members = Grouped(z, grouping, groups, seed, gram)
        of_groupings.append(torch.stack([score(members) for score in SCORES.values()], 1))
    return torch.stack(of_groupings)


def _precision(score: Float[Tensor, " some"], wrong: Bool[Tensor, " some"]) -> float:
    return average_precision(-score, wrong)
