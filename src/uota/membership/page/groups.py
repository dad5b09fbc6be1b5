"""What the page says of groups: how many of their members are wrong, and which look like two things or like another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uota.membership.page.listed import typical_members
from uota.membership.verdicts import LIKELY, Verdicts

# Groups in the table, groups that are proposed to be split or merged, and members that are shown of a part.
IN_TABLE, PROPOSED, SHOWN = 500, 100, 6


@dataclass(frozen=True)
class Described:
    """What is said of groups. Members and groups are numbers.

    Attributes:
        rows: group, size, members expected to be wrong, probability of two things, most similar other group and the
            probability that both are one; those with most wrong members first.
        splits: group, probability, and the members of both parts, with their numbers.
        merges: two groups, the probability that they are one, and members of each.
        wanted: members whose pictures are wanted together.
    """

    rows: list[list[Any]]
    splits: list[dict[str, Any]]
    merges: list[dict[str, Any]]
    wanted: Sequence[list[int]]

    @property
    def members(self) -> set[int]:
        """All members that are named."""
        return {member for members in self.wanted for member in members}

    @property
    def groups(self) -> set[int]:
        """All groups that are named."""
        merged = [group for each in self.merges for group in each["groups"]]
        return {*(row[0] for row in self.rows), *(each["group"] for each in self.splits), *merged} | {
            row[4] for row in self.rows if row[4] >= 0
        }


def describe_groups(found: Verdicts) -> Described:
    """Describe the groups with most wrong members, and those that look like two things or like another group."""
    verdicts, expected = found.groups, found.expected_wrong()
    order = np.argsort(-expected, kind="stable")[:IN_TABLE]
    columns = (verdicts.size, verdicts.split, verdicts.twin, verdicts.merge)
    size, split, twin, merge = (column.numpy()[order].tolist() for column in columns)
    rows = zip(order.tolist(), size, expected[order].tolist(), split, twin, merge, strict=True)
    splits, merges = _splits(found), _merges(found)
    parts = [part for each in splits for part in each["parts"]] + [part for each in merges for part in each["members"]]
    return Described([list(row) for row in rows], splits, merges, parts)


def _splits(found: Verdicts) -> list[dict[str, Any]]:
    """Return the groups that look like two things, with members of both parts."""
    verdicts = found.groups
    likely = _likely(verdicts.split.numpy())
    group, part = found.members.group.numpy(), verdicts.part.numpy()
    of_likely = np.flatnonzero(np.isin(group, likely))
    parts = {number: ([], []) for number in likely.tolist()}  # type: dict[int, tuple[list[int], list[int]]]
    for member in of_likely[np.argsort(found.members.probability.numpy()[of_likely], kind="stable")].tolist():
        parts[int(group[member])][int(part[member])].append(member)
    return [
        {
            "group": number,
            "probability": float(verdicts.split[number]),
            "sizes": [len(each) for each in parts[number]],
            "parts": [each[:SHOWN] for each in parts[number]],
        }
        for number in likely.tolist()
    ]


def _merges(found: Verdicts) -> list[dict[str, Any]]:
    """Return the pairs of groups that look like one thing, with members of both; a mutual pair once."""
    verdicts = found.groups
    likely = _likely(np.where(verdicts.twin.numpy() >= 0, verdicts.merge.numpy(), 0))
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    for number in likely.tolist():
        twin = int(verdicts.twin[number])
        pairs.setdefault(frozenset((number, twin)), (number, twin))
    typical = typical_members(found, np.unique([number for pair in pairs for number in pair]).astype(np.int64), SHOWN)
    return [
        {
            "groups": list(pair),
            "probability": float(verdicts.merge[pair[0]]),
            "sizes": verdicts.size[list(pair)].tolist(),
            "members": [typical[number] for number in pair],
        }
        for pair in pairs.values()
    ]


def _likely(probability: np.ndarray) -> np.ndarray:
    """Return the groups of the highest probabilities that are likely, the most probable first."""
    order = np.argsort(-probability, kind="stable")
    return order[probability[order] > LIKELY][:PROPOSED]
