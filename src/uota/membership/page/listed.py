"""Which members the page lists, and those that it shows beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from uota.membership.verdicts import Verdicts

# The list has members of at least this probability, but at least and at most so many, and names of about so many
# characters together; the table has all members.
LEAST, FEWEST, MOST, CHARACTERS = 0.05, 100, 5000, 3_000_000
# Members of a group that are shown beside a listed one, besides the nearest.
TYPICAL = 3


@dataclass(frozen=True)
class Listed:
    """What the list shows. Members and groups are numbers.

    Attributes:
        rows: the members, worst first.
        typical: of each group that is shown, members that belong most probably, some more than are shown.
        wanted: members whose pictures are wanted together, row by row.
        members: all members that are named.
        groups: all groups that are named.
    """

    rows: list[int]
    typical: dict[int, list[int]]
    wanted: Sequence[list[int]]
    members: set[int]
    groups: set[int]


def list_members(found: Verdicts) -> Listed:
    """Choose the members to list, and those beside them: the nearest of both groups, and some that belong there."""
    verdicts, order = found.members, found.members.worst_first()
    count = int((verdicts.probability >= LEAST).sum())
    rows = order[: min(max(count, FEWEST), MOST)]
    own, fits = verdicts.group[rows].tolist(), verdicts.fits[rows].tolist()
    typical = typical_members(found, np.unique([*own, *fits]), TYPICAL + 2)
    near = zip(verdicts.nearest_own[rows].tolist(), verdicts.nearest_other[rows].tolist(), strict=True)
    beside = [
        [member, *(each for each in pair if each >= 0), *typical[group], *typical[other]]
        for member, pair, group, other in zip(rows, near, own, fits, strict=True)
    ]
    kept = _in_room(found, beside)
    return Listed(
        rows[:kept],
        {group: typical[group] for group in {*own[:kept], *fits[:kept]}},
        beside[:kept],
        {member for each in beside[:kept] for member in each},
        {*own[:kept], *fits[:kept]},
    )


def typical_members(found: Verdicts, groups: ndarray, count: int) -> dict[int, list[int]]:
    """Return the members of some groups that belong there most probably, so many of each at most.

    Args:
        found: the verdicts.
        groups: numbers of the groups, ascending.
        count: most members of a group.
    """
    probability, group = found.members.probability.numpy(), found.members.group.numpy()
    members = np.flatnonzero(np.isin(group, groups))
    members = members[np.lexsort((members, probability[members], group[members]))]
    starts = np.searchsorted(group[members], groups)
    ends = np.minimum(np.searchsorted(group[members], groups, side="right"), starts + count)
    return {int(number): members[start:end].tolist() for number, start, end in zip(groups, starts, ends, strict=True)}


def _in_room(found: Verdicts, beside: Sequence[Sequence[int]]) -> int:
    """Return how many rows have room for their names."""
    return sum(1 for used in _used(found, beside) if used <= CHARACTERS) or 1


def _used(found: Verdicts, beside: Sequence[Sequence[int]]) -> Iterator[int]:
    """Yield how many characters the names of the first, the first two, ... rows have."""
    group = found.members.group.numpy()
    named: set[int] = set()
    used = 0
    for members in beside:
        new = {*members} - named
        named |= new
        used += sum(len(found.ids[member]) + len(found.names[group[member]]) for member in new)
        yield used
