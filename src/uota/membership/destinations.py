"""The other group that a member fits best, and the probability that it belongs there.

Some groups are candidates for each member. A conditional logit (McFadden, *Conditional logit analysis of qualitative
choice behavior*, 1974) chooses among them, whose weights are fitted to members that were exchanged on purpose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from uota.membership.metric import PLAIN, WHITENED, Metrics

# Groups with the most similar centres, and most similar members, whose groups are the candidates.
CENTRES, NEIGHBOURS = 8, 32
# Members whose candidates are compared at once, and that are compared with all others at once.
ROWS, BLOCK = 256, 1024
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


def find_candidates(members: Metrics, rows: Int64[Tensor, " rows"]) -> Candidates:
    """Find candidates for some members.

    These are the groups with the most similar centres, and those of the most similar members, by whitened vectors.

    Args:
        members: all members.
        rows: those that candidates are found for.
    """
    white = members[WHITENED]
    own = white.group[rows]
    by_centre = most_similar(white.z[rows], own, white.centres, torch.arange(white.groups), CENTRES)
    near = most_similar(white.z[rows], own, white.z, white.group, NEIGHBOURS)
    group = torch.cat([by_centre, white.group[near]], 1)
    split = zip(rows.split(ROWS), group.split(ROWS), near.split(ROWS), strict=True)
    similarity = torch.cat([_similarity(members, *part) for part in split])
    return Candidates(group, first_occurrences(group) & (group != own[:, None]), similarity)


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


def most_similar(
    x: Float[Tensor, "rows dim"],
    own: Int64[Tensor, " rows"],
    y: Float[Tensor, "others dim"],
    group: Int64[Tensor, " others"],
    count: int,
) -> Int64[Tensor, "rows count"]:
    """Return the most similar vectors of other groups than the own one; where there are too few, also of that.

    Args:
        x: unit vectors.
        own: the group of each of these.
        y: unit vectors to compare with.
        group: the group of each of these.
        count: number to return; of fewer vectors, all are.
    """
    found = []
    for vectors, own_group in zip(x.split(BLOCK), own.split(BLOCK), strict=True):
        cosines = (vectors @ y.T).masked_fill_(own_group[:, None] == group, -torch.inf)
        found.append(cosines.topk(min(count, len(y)), 1).indices)
    return torch.cat(found)


def first_occurrences(numbers: Int64[Tensor, "rows numbers"]) -> Bool[Tensor, "rows numbers"]:
    """Whether each number is the first of its kind in its row."""
    ordered, order = numbers.sort(dim=1, stable=True)
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.zeros_like(is_first).scatter_(1, order, is_first)


def _similarity(
    members: Metrics,
    rows: Int64[Tensor, " rows"],
    group: Int64[Tensor, "rows candidates"],
    near: Int64[Tensor, "rows neighbours"],
) -> Float[Tensor, "rows candidates ways"]:
    """Return how similar members are to the centres of groups, and to those of their neighbours that are in them."""
    white = members[WHITENED]
    is_of = group[:, :, None] == white.group[near][:, None]
    mean, deviation = white.strangers
    ways = []
    for each in (white, members[PLAIN]):
        z = each.z[rows, :, None]
        to_centre = (each.centres[group] @ z)[:, :, 0]
        to_near = (each.z[near] @ z)[:, None, :, 0]
        floor = to_near.amin(2)
        nearest = to_near.where(is_of, -torch.inf).amax(2).maximum(floor)
        like = ((to_near - 1) / TEMPERATURE).exp().where(is_of, 0).sum(2) + ((floor - 1) / TEMPERATURE).exp()
        ways += [to_centre, nearest, like.log()]
    ways.append((ways[0] - mean[group]) / deviation[group])
    return torch.stack(ways, 2)
