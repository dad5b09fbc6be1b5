"""Verdicts on members and on groups, with their names, and the tables of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from uota.console import printable
from uota.membership.choice import Choice
from uota.membership.origin import Origin
from uota.membership.path_cells import escape_path

# A split or a merge is proposed if its probability is above this, and a member is called misfiled.
LIKELY = 0.5
# An estimated share of members above this says more about the embeddings than about the members.
TOO_MANY = 0.4
# Name of the column of members that are files.
FILE = "file"


@dataclass(frozen=True)
class MemberVerdicts:
    """Which members do not belong to their group, in the order in which the members were given.

    Attributes:
        group: number of each member's group.
        probability: probability that a member does not belong to its group. For the only member of a group, which
            nothing can be said of, it is the estimated share.
        fdr: expected share of wrong entries in the list of all members that are at least as probable outliers.
        score: how well a member fits its group; higher is better. NaN for the only member of a group.
        fits: number of the other group that a member fits best.
        fits_probability: probability that a member belongs to that group, given that it does not belong to its own.
        nearest_own: the most similar other member of its group; -1 for the only member of a group.
        nearest_other: the most similar member of the group that it fits best.
        share: estimated share of members that do not belong.
        interval: its 95 % interval.
        choice: the score that was chosen by injection, and how well each candidate did.
    """

    group: Int64[Tensor, " members"]
    probability: Float[Tensor, " members"]
    fdr: Float[Tensor, " members"]
    score: Float[Tensor, " members"]
    fits: Int64[Tensor, " members"]
    fits_probability: Float[Tensor, " members"]
    nearest_own: Int64[Tensor, " members"]
    nearest_other: Int64[Tensor, " members"]
    share: float
    interval: tuple[float, float]
    choice: Choice

    def worst_first(self) -> list[int]:
        """Return the members by descending probability, and ties by ascending score."""
        return worst_first(self.probability, self.score).tolist()


def worst_first(probability: Float[Tensor, " n"], score: Float[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """Return the order of falling probability, and of ties by ascending score."""
    return torch.from_numpy(np.lexsort((score.numpy(), -probability.numpy())).copy())


@dataclass(frozen=True)
class GroupVerdicts:
    """Which groups look like two things, and which look like one thing with another group.

    Attributes:
        size: number of members of each group.
        split: probability that a group shows two things.
        part: of each member, 0 or 1: the larger and the smaller of the two parts that its group would be split into.
        twin: number of the other group that each group is most similar to.
        merge: probability that both show the same thing.
    """

    size: Int64[Tensor, " groups"]
    split: Float[Tensor, " groups"]
    part: Int64[Tensor, " members"]
    twin: Int64[Tensor, " groups"]
    merge: Float[Tensor, " groups"]


@dataclass(frozen=True, repr=False)
class Verdicts:
    """Verdicts on members and groups, with their names.

    Attributes:
        ids: name of each member, such as the path of a file.
        names: name of each group.
        members: verdicts on members.
        groups: verdicts on groups.
        id_name: name of the column of `ids` in tables: `file` for files, or `id`.
        origin: where the members come from.
    """

    ids: Sequence[str]
    names: Sequence[str]
    members: MemberVerdicts
    groups: GroupVerdicts
    id_name: str = "id"
    origin: Origin = field(default_factory=Origin)

    @property
    def as_text(self) -> Callable[[str], str]:
        """What turns the names of members and groups into text without control characters; of files, reversibly."""
        return escape_path if self.id_name == FILE else printable

    def expected_wrong(self) -> ndarray:
        """Return the number of members of each group that are expected not to belong."""
        return np.bincount(self.members.group.numpy(), self.members.probability.double().numpy(), len(self.names))

    def columns(self) -> dict[str, ndarray]:
        """Return the table of members, worst first; text has no control characters, and None is no member."""
        verdicts, order = self.members, self.members.worst_first()
        ids, names = self._texts(self.ids), self._texts(self.names)
        return {
            self.id_name: ids[order],
            "group": names[verdicts.group.numpy()[order]],
            "probability": verdicts.probability.numpy()[order],
            "fdr": verdicts.fdr.numpy()[order],
            "fits_better": names[verdicts.fits.numpy()[order]],
            "fits_probability": verdicts.fits_probability.numpy()[order],
            "nearest_own": _or_none(ids, verdicts.nearest_own.numpy()[order]),
            "nearest_other": _or_none(ids, verdicts.nearest_other.numpy()[order]),
        }

    def group_columns(self) -> dict[str, ndarray]:
        """Return the table of groups; those in which most members are expected to be wrong come first."""
        verdicts, names = self.groups, self._texts(self.names)
        expected = self.expected_wrong()
        order = np.argsort(-expected, kind="stable")
        return {
            "group": names[order],
            "size": verdicts.size.numpy()[order],
            "expected_wrong": expected[order],
            "split_probability": verdicts.split.numpy()[order],
            "merge_with": _or_none(names, verdicts.twin.numpy()[order]),
            "merge_probability": verdicts.merge.numpy()[order],
        }

    def _texts(self, names: Sequence[str]) -> ndarray:
        """Return names as an array of objects, as long texts would widen one of characters."""
        return np.array([*map(self.as_text, names), None], dtype=object)[:-1]


def _or_none(names: ndarray, places: ndarray) -> ndarray:
    """Return the names at these places; −1 is None."""
    found: ndarray = names[places]
    found[places < 0] = None
    return found
