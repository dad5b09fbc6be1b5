"""Injection: members exchanged between groups on purpose, which show what outliers score and which scores find them."""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from uota.membership.metric import METRICS, PLAIN, Metrics, by_metrics
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


class Exchanged(NamedTuple):
    """Groups after some members were exchanged.

    Attributes:
        group: number of each member's group.
        moved: members whose group is another one.
        wrong: members that do not belong: those, and the other member of a group of two, as nothing says which of two
            members that do not belong together is wrong.
        home: number of the group where each wrong member's own group is now.
    """

    group: Int64[Tensor, " members"]
    moved: Bool[Tensor, " members"]
    wrong: Bool[Tensor, " members"]
    home: Int64[Tensor, " members"]


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
    return Exchanged(exchanged, moved, moved | broken[exchanged], _homes(group, exchanged))


def _homes(group: Int64[Tensor, " members"], exchanged: Int64[Tensor, " members"]) -> Int64[Tensor, " members"]:
    """Return where each member's group is after an exchange: of two members, that of the other one."""
    sizes, numbers = group.bincount(), torch.arange(len(group))
    other = torch.zeros_like(sizes).index_add_(0, group, numbers)[group] - numbers
    return torch.where(sizes[group] == 2, exchanged[other.clamp(0, len(group) - 1)], group)


class Trial(NamedTuple):
    """Scores of members after an exchange.

    Attributes:
        rows: the members; all that are wrong, and some of the others.
        scores: by `CANDIDATES`.
        wrong: which of them do not belong.
        foreign: which of these were not compared with the group that they belong to, as if there were no such group.
    """

    rows: Int64[Tensor, " rows"]
    scores: Float[Tensor, "rows candidates"]
    wrong: Bool[Tensor, " rows"]
    foreign: Bool[Tensor, " rows"]

    @property
    def misplaced(self) -> Bool[Tensor, " rows"]:
        """Which of those that do not belong were compared with the group that they belong to."""
        return self.wrong & ~self.foreign

    def weight(self, foreign: float) -> Float[Tensor, " rows"]:
        """Return what each counts if foreign members are this fraction of the wrong ones."""
        return torch.where(self.foreign, foreign, torch.where(self.wrong, 1 - foreign, 1.0)).double()


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
    wrong = torch.nonzero(exchanged.wrong)[:, 0]
    rows, order = torch.cat([wrong, wrong, staying]).sort(stable=True)
    foreign = (order >= len(wrong)) & (order < 2 * len(wrong))
    absent, groups = exchanged.home[rows].where(foreign, -1), int(exchanged.group.max()) + 1
    members = by_metrics(z, exchanged.group, groups, seed, gram, own_share(rows), own_share(absent))
    return Trial(rows, score_all(members), exchanged.wrong[rows], foreign), members


def score_all(members: Metrics) -> Float[Tensor, "rows candidates"]:
    """Score members by `CANDIDATES`; ranks share the work."""
    return of_all_ranks(torch.stack([SCORES[each.score](members[each.metric]) for each in CANDIDATES], 1))[0]
