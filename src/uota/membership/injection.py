"""Injection: members exchanged between groups on purpose, which show the scores of outliers and choose among scores."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.arbitration.selection import REPEATS, SHARE, not_suspected, precision_by_injection
from uota.membership.grouped import Grouped
from uota.membership.mixture import probabilities
from uota.membership.scores import SCORES
from uota.numerics import seed_of

# Depths of an encoder that are combined; of features of other kinds, all are combined.
COMBINATIONS = (
    ("output",),
    ("output", "last"),
    ("output", "last", "before"),
    ("output", "before"),
    ("last", "before"),
)
# Members among whom the score is chosen; of more, the groups are a random sample.
MEMBERS = 4096
Features = Mapping[str, Float[Tensor, "members _"]]


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
class Choice:
    """The candidate that finds exchanged members best.

    Attributes:
        best: the candidate.
        found: average precision of each candidate in finding exchanged members, by name, the best first.
    """

    best: Candidate
    found: dict[str, float]


def combinations(features: Features) -> list[tuple[str, ...]]:
    """Return the kinds of features that are used together."""
    return [parts for parts in COMBINATIONS if features.keys() >= set(parts)] or [tuple(features)]


def project(features: Features, parts: Iterable[str]) -> Float[Tensor, "members dim"]:
    """Centre each part of the features, scale it to length 1, and concatenate them to unit vectors."""
    centred = (features[part] - features[part].double().mean(0).to(features[part]) for part in parts)
    return normalize(torch.cat([normalize(part, dim=-1) for part in centred], -1), dim=-1)


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


def choose(features: Features, group: Int64[Tensor, " members"], seed: int) -> Choice:
    """Choose the candidate that finds exchanged members best, by average precision; of equal ones, the first.

    Args:
        features: features of the members, by kind.
        group: their groups, numbered without gaps.
        seed: of the samples and exchanges.
    """
    sample = _some_groups(group, seed)
    group = group[sample].unique(return_inverse=True)[1]
    trials = [exchange(group, seed_of(seed, repeat)) for repeat in range(REPEATS)]
    scores = torch.stack(
        [
            _all_scores(project({part: features[part][sample] for part in parts}, parts), group, trials, seed)
            for parts in combinations(features)
        ]
    ).flatten(0, 1)
    injected = torch.stack([injected for _, injected in trials])
    suspected = torch.stack([probabilities(each[0], each[1:][injected])[0] > 0.5 for each in scores])
    figures = precision_by_injection(not_suspected(suspected), zip(scores.unbind(1)[1:], injected, strict=True))
    candidates = [Candidate(parts, score) for parts, score in product(combinations(features), SCORES)]
    order = figures.argsort(descending=True, stable=True).tolist()
    return Choice(candidates[order[0]], {candidates[place].name: float(figures[place]) for place in order})


def _all_scores(
    z: Float[Tensor, "members dim"],
    group: Int64[Tensor, " members"],
    trials: list[tuple[Tensor, Tensor]],
    seed: int,
) -> Float[Tensor, "scores groupings members"]:
    """Compute all scores in the groups as they are, and after each exchange."""
    groups = int(group.max()) + 1
    of_groupings = []
    for grouping in (group, *(exchanged for exchanged, _ in trials)):
        members = Grouped(z, grouping, groups, seed)
        of_groupings.append(torch.stack([score(members) for score in SCORES.values()]))
    return torch.stack(of_groupings, 1)


def _some_groups(group: Int64[Tensor, " members"], seed: int) -> Int64[Tensor, " sample"]:
    """Return the members of random groups, of about `MEMBERS` members together."""
    sizes = group.bincount()
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    before = sizes[order].cumsum(0) - sizes[order]
    chosen = torch.zeros(len(sizes), dtype=torch.bool).scatter_(0, order, before < MEMBERS)
    return torch.nonzero(chosen[group])[:, 0]
