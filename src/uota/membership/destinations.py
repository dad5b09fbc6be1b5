"""The other group that a member fits best, and the probability that it belongs there.

Some groups are candidates for each member. A conditional logit (McFadden, *Conditional logit analysis of qualitative
choice behavior*, 1974) chooses among them, whose weights are fitted to members that were exchanged on purpose.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from uota.membership.in_blocks import in_blocks
from uota.membership.metric import PLAIN, WHITENED, Metrics
from uota.membership.projection import Vectors, row_blocks
from uota.membership.similar import EXACT, HELD, SHORTLIST, Index, has_faiss

# Groups with the most similar centres, and most similar members, whose groups are the candidates.
CENTRES, NEIGHBOURS = 8, 32
# Most members that are all compared with each other.
EXACT_MEMBERS = 2**15
# Members whose candidates are compared at once.
ROWS = 512
# Temperature of the sum over the most similar members of a group.
TEMPERATURE = 0.05
# Steps of the fit, and strength of the pull of its weights towards those of the whitened centre alone.
STEPS, PULL = 100, 1.0
# What stands for the logarithm of 0, and for a deviation of 0.
NEVER, LEAST_DEVIATION = -1e9, 1e-6


class Candidates(NamedTuple):
    """Candidates of some members.

    Attributes:
        group: numbers of groups other than the member's own; each may occur several times.
        differs: the first occurrence of each.
        similarity: how similar the member is to each, in several ways.
    """

    group: Int64[Tensor, "rows candidates"]
    differs: Bool[Tensor, "rows candidates"]
    similarity: Float[Tensor, "rows candidates ways"]

    def without(self, group: Int64[Tensor, " rows"]) -> "Candidates":
        """Return the same without one group of each member."""
        return self._replace(differs=self.differs & (self.group != group[:, None]))


class Seekers(NamedTuple):
    """Members whose candidates are looked for at once.

    Attributes:
        rows: their numbers.
        own: number of each one's group.
        white, plain: their vectors by both metrics.
    """

    rows: Int64[Tensor, " rows"]
    own: Int64[Tensor, " rows"]
    white: Float[Tensor, "rows dim"]
    plain: Float[Tensor, "rows dim"]


@dataclass(frozen=True)
class Logit:
    """Chooses among candidates.

    Attributes:
        mean, deviation: of each way to be similar, over candidates.
        weight: of each standardised way.
        recall: share of members whose group is a candidate.
    """

    mean: Float[Tensor, " ways"]
    deviation: Float[Tensor, " ways"]
    weight: Float[Tensor, " ways"]
    recall: float

    def __call__(self, candidates: Candidates) -> tuple[Int64[Tensor, " rows"], Float[Tensor, " rows"]]:
        """Return the best group of each member, and the probability that it is the right one."""
        standardised = (candidates.similarity - self.mean) / self.deviation
        best = (standardised @ self.weight).masked_fill(~candidates.differs, -torch.inf).softmax(1).max(1)
        return candidates.group.gather(1, best.indices[:, None])[:, 0], self.recall * best.values


class ByCentres:
    """Finds candidates for some members: the groups with the most similar centres, by whitened vectors.

    Args:
        members: all members.
    """

    def __init__(self, members: Metrics) -> None:
        self.members, white = members, members[WHITENED]
        self.search = Neighbours(white.centres, torch.arange(white.groups), EXACT)

    def __call__(self, rows: Int64[Tensor, " rows"]) -> Candidates:
        """Find the candidates of these members."""
        return _candidates(self.members, rows, self._of_block)

    def _of_block(self, seekers: Seekers) -> tuple[Tensor, Tensor]:
        group = self.near_centres(seekers)
        return group, _to_centres(self.members, seekers, group)

    def near_centres(self, seekers: Seekers) -> Int64[Tensor, "rows candidates"]:
        """Return the groups with the most similar centres."""
        return self.search(seekers.white, seekers.own, CENTRES)


class ByNeighbours:
    """Finds more candidates: also the groups of the most similar members, by whitened vectors.

    Args:
        members: all members.
        by_centres: finds the others.
    """

    def __init__(self, members: Metrics, by_centres: ByCentres) -> None:
        self.members, self.by_centres, white = members, by_centres, members[WHITENED]
        self.search = Neighbours(white.z, white.group, EXACT_MEMBERS)

    def __call__(self, rows: Int64[Tensor, " rows"]) -> Candidates:
        """Find the candidates of these members."""
        return _candidates(self.members, rows, self._of_block)

    def _of_block(self, seekers: Seekers) -> tuple[Tensor, Tensor]:
        near = self.search(seekers.white, seekers.own, NEIGHBOURS)
        group = torch.cat([self.by_centres.near_centres(seekers), self.members[PLAIN].group[near]], 1)
        ways = _to_centres(self.members, seekers, group), _to_neighbours(self.members, seekers, group, near)
        return group, torch.cat(ways, 2)


def _candidates(
    members: Metrics, rows: Int64[Tensor, " rows"], find: Callable[[Seekers], tuple[Tensor, Tensor]]
) -> Candidates:
    """Find groups and how similar members are to them, block by block; the own group is no candidate."""
    white, plain = members[WHITENED], members[PLAIN]

    def find_some(block: slice) -> tuple[Tensor, Tensor]:
        some = rows[block]
        return find(Seekers(some, plain.group[some], white.z[some], plain.z[some]))

    group, similarity = in_blocks(len(rows), ROWS, find_some)
    return Candidates(group, first_occurrences(group) & (group != plain.group[rows][:, None]), similarity)


def join(parts: Sequence[Candidates]) -> Candidates:
    """Join the candidates of several parts of members."""
    return Candidates(*(torch.cat(each) for each in zip(*parts, strict=True)))


def fit_logit(candidates: Candidates, home: Int64[Tensor, " rows"]) -> Logit:
    """Fit the weights to members whose groups are known.

    Args:
        candidates: of these members.
        home: the group that each belongs to; where it is no candidate, only the recall is fitted.
    """
    every = candidates.similarity[candidates.differs]
    mean, deviation = every.mean(0), every.std(0, correction=0).clamp_min(LEAST_DEVIATION)
    is_home = (candidates.group == home[:, None]) & candidates.differs
    known = is_home.any(1)
    target, is_none = is_home[known].long().argmax(1), ~candidates.differs[known]
    x = (candidates.similarity[known] - mean) / deviation
    start = torch.zeros_like(mean).index_fill(0, torch.tensor(0), 1)
    weight = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weight], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = (x @ weight).masked_fill(is_none, NEVER)
        total: Tensor = cross_entropy(logits, target, reduction="sum") + PULL * (weight - start).square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    return Logit(mean, deviation, weight.detach(), float(known.double().mean()))


class Neighbours:
    """Finds the most similar vectors of other groups; among many, by an index, if FAISS is there.

    Args:
        y: unit vectors.
        group: the group of each of these.
        exact: most vectors that are all compared.
    """

    def __init__(self, y: Vectors, group: Int64[Tensor, " others"], exact: int) -> None:
        self.y, self.group, self.rows = y, group, max(1, HELD // len(y))
        self.index = Index(y, refined=False) if len(y) > exact and has_faiss(len(y)) else None

    def __call__(
        self, x: Float[Tensor, "rows dim"], own: Int64[Tensor, " rows"], count: int
    ) -> Int64[Tensor, "rows count"]:
        """Return the most similar of other groups than the own one; where there are too few, also of that.

        Args:
            x: unit vectors.
            own: the group of each of these.
            count: number to return; of fewer vectors, all are. By an index, they are in the order of their codes.
        """
        count = min(count, len(self.y))
        if self.index is None:
            return in_blocks(len(x), self.rows, lambda block: [self._compared(x[block], own[block], count)])[0]
        found = self.index.shortlist(x, max(SHORTLIST, 2 * count)).clamp_min(0)
        others_first = (self.group[found] == own[:, None]).byte().argsort(dim=1, stable=True)[:, :count]
        return found.gather(1, others_first)

    def _compared(self, x: Tensor, own: Tensor, count: int) -> Tensor:
        """Compare with all."""
        cosines = torch.cat([x @ self.y[rows].T for rows in row_blocks(len(self.y))], 1)
        return cosines.masked_fill_(own[:, None] == self.group, -torch.inf).topk(count, 1).indices


def first_occurrences(numbers: Int64[Tensor, "rows numbers"]) -> Bool[Tensor, "rows numbers"]:
    """Whether each number is the first of its kind in its row."""
    ordered, order = numbers.sort(dim=1, stable=True)
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.zeros_like(is_first).scatter_(1, order, is_first)


def _to_centres(
    members: Metrics, seekers: Seekers, group: Int64[Tensor, "rows candidates"]
) -> Float[Tensor, "rows candidates 3"]:
    """Return how similar members are to the centres of groups: whitened, as they are, and compared with strangers."""
    white, plain = (
        (members[metric].centres[group] @ z[:, :, None])[:, :, 0]
        for metric, z in ((WHITENED, seekers.white), (PLAIN, seekers.plain))
    )
    mean, deviation = members[WHITENED].strangers
    return torch.stack([white, plain, (white - mean[group]) / deviation[group]], 2)


def _to_neighbours(
    members: Metrics,
    seekers: Seekers,
    group: Int64[Tensor, "rows candidates"],
    near: Int64[Tensor, "rows neighbours"],
) -> Float[Tensor, "rows candidates 4"]:
    """Return how similar members are to those of their neighbours that are in groups: to the nearest, and to all."""
    is_of = group[:, :, None] == members[WHITENED].group[near][:, None]
    distinct, place = near.unique(return_inverse=True)
    ways = []
    for metric, z in ((WHITENED, seekers.white), (PLAIN, seekers.plain)):
        to_near = (members[metric].z[distinct][place] @ z[:, :, None])[:, None, :, 0]
        floor = to_near.amin(2)
        nearest = to_near.where(is_of, -torch.inf).amax(2).maximum(floor)
        like = ((to_near - 1) / TEMPERATURE).exp().where(is_of, 0).sum(2) + ((floor - 1) / TEMPERATURE).exp()
        ways += [nearest, like.log()]
    return torch.stack(ways, 2)
