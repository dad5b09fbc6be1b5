"""Members in the order of their groups, and blocks of whole groups, so that no copy of all vectors is needed."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.membership.projection import Vectors, row_blocks

# Members of a block of whole groups; a larger group is a block of its own.
BLOCK = 4096


@dataclass(frozen=True)
class Filing:
    """Which members are in which groups.

    Attributes:
        members: the members, group after group.
        group: number of the group of each, ascending from 0 without gaps.
    """

    members: Int64[Tensor, " filed"]
    group: Int64[Tensor, " filed"]

    @property
    def sizes(self) -> Int64[Tensor, " groups"]:
        """Number of members of each group."""
        return self.group.bincount()


@dataclass(frozen=True)
class Block:
    """Some groups with all their members.

    Attributes:
        z: unit vectors of the members.
        weight: what each member counts.
        group: number of each member's group within the block.
        rows: where the members are in the filing.
        groups: numbers of the groups.
    """

    z: Float[Tensor, "members dim"]
    weight: Float[Tensor, " members"]
    group: Int64[Tensor, " members"]
    rows: slice
    groups: slice

    @property
    def count(self) -> int:
        """Number of groups."""
        return self.groups.stop - self.groups.start

    def sums(self, weight: Float[Tensor, " members"]) -> Float[Tensor, "groups dim"]:
        """Weighted sum of the vectors of each group."""
        return sums(weight[:, None] * self.z, self.group, self.count)


@dataclass(frozen=True)
class Totals:
    """Sums over the members of each group.

    Attributes:
        vector: weighted sum of the vectors.
        weight: sum of the weights.
        squares: sum of the squared weights.
    """

    vector: Float[Tensor, "groups dim"]
    weight: Float[Tensor, " groups"]
    squares: Float[Tensor, " groups"]

    @property
    def centres(self) -> Float[Tensor, "groups dim"]:
        """Unit vector of each group's centre."""
        return normalize(self.vector, dim=-1)


def file_members(z: Vectors, group: Int64[Tensor, " members"], seed: int) -> Filing:
    """Sort the members by group, in an order that their vectors alone decide.

    What is drawn at random thereafter depends neither on the order of the members nor on the numbers of the groups.

    Args:
        z: unit vectors.
        group: numbers of the groups, without gaps.
        seed: of the direction along which members, and groups by their first member, are sorted.
    """
    direction = torch.randn(z.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    along = torch.cat([(z[rows].double() * direction).sum(-1) for rows in row_blocks(len(z))])
    first = along.new_full((int(group.max()) + 1,), torch.inf).scatter_reduce(0, group, along, "amin")
    place = torch.empty_like(group[: len(first)]).scatter_(0, first.argsort(stable=True), torch.arange(len(first)))
    members = along.argsort(stable=True)
    members = members[place[group[members]].argsort(stable=True)]
    return Filing(members, place[group[members]])


def blocks(z: Vectors, weight: Float[Tensor, " members"], filing: Filing) -> Iterator[Block]:
    """Yield all groups, block after block.

    Args:
        z: unit vectors of all members, filed or not.
        weight: what each of them counts.
        filing: which are in which group.
    """
    ends = filing.sizes.cumsum(0)
    of_block = ((ends - 1) // BLOCK).unique_consecutive(return_counts=True)[1].cumsum(0).tolist()
    first_group, first_row = 0, 0
    for last_group in of_block:
        last_row = int(ends[last_group - 1])
        rows, groups = slice(first_row, last_row), slice(first_group, last_group)
        chosen = filing.members[rows]
        yield Block(z[chosen], weight[chosen], filing.group[rows] - first_group, rows, groups)
        first_group, first_row = last_group, last_row


def totals(z: Vectors, weight: Float[Tensor, " members"], filing: Filing) -> Totals:
    """Sum over the members of each group."""
    vector = torch.cat([block.sums(block.weight) for block in blocks(z, weight, filing)])
    own, groups = weight[filing.members], len(vector)
    return Totals(vector, sums(own, filing.group, groups), sums(own.square(), filing.group, groups))


def sums(x: Float[Tensor, "members ..."], group: Int64[Tensor, " members"], groups: int) -> Float[Tensor, "groups ..."]:
    """Sum over the members of each group."""
    return x.new_zeros(groups, *x.shape[1:]).index_add_(0, group, x)


def halve(filing: Filing, least: int, seed: int) -> Int64[Tensor, " filed"]:
    """Cut each group in two at random.

    Args:
        filing: groups of at least two times `least` members.
        least: fewest members of a part.
        seed: of the choice.

    Returns:
        Of each filed member 1 if it is in the smaller part, which is a quarter to a half of its group; else 0.
    """
    random = torch.Generator().manual_seed(seed)
    sizes = filing.sizes
    share = 0.25 + 0.25 * torch.rand(len(sizes), generator=random, dtype=torch.float64)
    smaller = (share * sizes).round().long().clamp_min(least)
    shuffled = torch.randperm(len(filing.group), generator=random)
    order = shuffled[filing.group[shuffled].argsort(stable=True)]
    place = torch.arange(len(order)) - (sizes.cumsum(0) - sizes)[filing.group]
    return torch.empty_like(order).scatter_(0, order, (place < smaller[filing.group]).long())


def some_groups(filing: Filing, chosen: Int64[Tensor, " chosen"]) -> Filing:
    """Return some of the groups, numbered by their places in `chosen`.

    Args:
        filing: all groups.
        chosen: numbers of different groups.
    """
    number = torch.full((len(filing.sizes),), -1).scatter_(0, chosen, torch.arange(len(chosen)))
    kept = torch.nonzero(number[filing.group] >= 0)[:, 0]
    kept = kept[number[filing.group[kept]].argsort(stable=True)]
    return Filing(filing.members[kept], number[filing.group[kept]])
