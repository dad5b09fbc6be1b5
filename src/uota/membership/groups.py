"""Groups that show two things, and groups that show the same thing as another group."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from uota.membership.filing import file_members
from uota.membership.merges import find_merges
from uota.membership.projection import Vectors
from uota.membership.splits import find_splits
from uota.membership.verdicts import GroupVerdicts


def judge_groups(
    z: Vectors,
    group: Int64[Tensor, " members"],
    probability: Float[Tensor, " members"],
    seed: int = 0,
) -> GroupVerdicts:
    """Estimate for each group the probabilities that it shows two things, and the same thing as another group.

    Both by the two-groups model, from groups that are two things, or one thing, on purpose. A group of fewer than four
    members is never split, as one member that differs is a misfiled one.

    Args:
        z: unit vectors of the members.
        group: number of each member's group, without gaps.
        probability: probability of each member not to belong to its group; such members count less.
        seed: of the groups that are mixed and cut on purpose. The order of the members and the numbers of the groups
            play no part.
    """
    filing = file_members(z, group, seed)
    number = filing.group.new_zeros(int(filing.group[-1]) + 1).scatter_(0, filing.group, group[filing.members])
    splits, merges = find_splits(z, probability, filing, seed), find_merges(z, probability, filing, seed)
    return GroupVerdicts(
        size=group.bincount(),
        split=_put(splits.probability, number),
        part=_put(splits.part, filing.members),
        twin=_put(torch.where(merges.twin < 0, -1, number[merges.twin]), number),
        merge=_put(merges.probability, number),
    )


def _put(values: Tensor, places: Int64[Tensor, " values"]) -> Tensor:
    """Put each value in its place."""
    return torch.empty_like(values).scatter_(0, places, values)
