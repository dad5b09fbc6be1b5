"""What `uota.misfiled` returns: a verdict on each member and on each group."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from uota.console import printable
from uota.io.tables import to_frame, write_columns
from uota.membership.injection import Choice

# A split or a merge is proposed if its probability is above this, and a member is called misfiled.
LIKELY = 0.5


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
class Misfiled:
    """Verdicts on members and groups, with their names.

    Attributes:
        ids: name of each member, such as the path of a file.
        names: name of each group.
        members: verdicts on members.
        groups: verdicts on groups.
        id_name: name of the column of `ids` in tables: `file` for files, or `id`.
    """

    ids: Sequence[str]
    names: Sequence[str]
    members: MemberVerdicts
    groups: GroupVerdicts
    id_name: str = "id"

    def columns(self) -> dict[str, ndarray]:
        """Return the table of members, worst first; text has no control characters, and None is no member."""
        verdicts, order = self.members, self.members.worst_first()
        ids, names = _texts(self.ids), _texts(self.names)
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
        verdicts, names = self.groups, _texts(self.names)
        expected = np.bincount(self.members.group.numpy(), self.members.probability.double().numpy(), len(names))
        order = np.argsort(-expected, kind="stable")
        return {
            "group": names[order],
            "size": verdicts.size.numpy()[order],
            "expected_wrong": expected[order],
            "split_probability": verdicts.split.numpy()[order],
            "merge_with": _or_none(names, verdicts.twin.numpy()[order]),
            "merge_probability": verdicts.merge.numpy()[order],
        }

    def to_frame(self) -> Any:
        """Return the table of members, worst first, as a pandas DataFrame.

        Raises:
            UotaError: pandas is not installed.
        """
        return to_frame(self.columns())

    def groups_to_frame(self) -> Any:
        """Return the table of groups as a pandas DataFrame.

        Raises:
            UotaError: pandas is not installed.
        """
        return to_frame(self.group_columns())

    def save(self, path: str | Path) -> Path:
        """Write the table of members, worst first, as .csv or .parquet.

        Raises:
            UotaError: the suffix is another, or the file cannot be written.
        """
        write_columns(self.columns(), Path(path))
        return Path(path)

    def save_groups(self, path: str | Path) -> Path:
        """Write the table of groups as .csv or .parquet.

        Raises:
            UotaError: the suffix is another, or the file cannot be written.
        """
        write_columns(self.group_columns(), Path(path))
        return Path(path)

    def __repr__(self) -> str:
        """Summarise the verdicts in one line."""
        low, high = self.members.interval
        return (
            f"Misfiled: {100 * self.members.share:.1f} % ({100 * low:.1f} to {100 * high:.1f} %) of {len(self.ids)} "
            f"members of {len(self.names)} groups do not belong"
        )


def _texts(names: Sequence[str]) -> ndarray:
    """Return names as an array of objects, as long texts would widen one of characters."""
    return np.array([*map(printable, names), None], dtype=object)[:-1]


def _or_none(names: ndarray, places: ndarray) -> ndarray:
    """Return the names at these places; −1 is None."""
    found: ndarray = names[places]
    found[places < 0] = None
    return found
