"""What `uota.misfiled` returns: a verdict on each member and on each group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from uota.membership.injection import Choice


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
        order: list[int] = np.lexsort((self.score.numpy(), -self.probability.numpy())).tolist()
        return order


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


@dataclass(frozen=True)
class Misfiled:
    """Verdicts on members and groups, with their names.

    Attributes:
        ids: name of each member, such as the path of a file.
        names: name of each group.
        members: verdicts on members.
        groups: verdicts on groups.
    """

    ids: Sequence[str]
    names: Sequence[str]
    members: MemberVerdicts
    groups: GroupVerdicts
