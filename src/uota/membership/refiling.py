"""Re-filing: members that do not belong to their group are moved to where they belong, or belong to no group."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.membership.members import score_members
from uota.membership.projection import Features
from uota.membership.verdicts import LIKELY


@dataclass(frozen=True)
class Refiled:
    """What a verdict says of each file; NaN and -1 of one that cannot be read or was in no group.

    Attributes:
        given: number of the group that a file was in; -1: none.
        group: number of the group that it belongs to; -1: none.
        probability: probability that it does not belong to the group that it was given to.
        fits: number of the other group that it fits best.
        fits_probability: probability that this is right, if it does not belong to its own.
        share: estimated share of files that do not belong to the group that they were given to.
    """

    given: Int64[Tensor, " files"]
    group: Int64[Tensor, " files"]
    probability: Float[Tensor, " files"]
    fits: Int64[Tensor, " files"]
    fits_probability: Float[Tensor, " files"]
    share: float

    @property
    def moved(self) -> Bool[Tensor, " files"]:
        """Files that belong to another group."""
        return (self.group >= 0) & (self.group != self.given)

    @property
    def dropped(self) -> Bool[Tensor, " files"]:
        """Files that belong to no group."""
        return (self.group < 0) & (self.given >= 0)


def refile(given: Int64[Tensor, " files"], features: Features, known: Bool[Tensor, " files"], seed: int) -> Refiled:
    """Judge all files, move those that probably belong to another group, and drop those that are only told wrong.

    Every group keeps at least one of its files, the most probable one.

    Args:
        given: number of each file's group; -1: it is in none.
        features: features of all files, by kind.
        known: files whose features are their own; others stay where they are.
        seed: of the verdicts.

    Raises:
        UotaError: there are fewer than three groups of two or more such files.
    """
    judged = known & (given >= 0)
    chosen = {name: each[judged] for name, each in features.items()}
    names, own = given[judged].unique(return_inverse=True)
    found = score_members(chosen, own, seed)
    belongs_there = found.probability * found.fits_probability
    goal = torch.where(belongs_there > LIKELY, found.fits, -1)
    group = keep_one(torch.where(found.probability > LIKELY, goal, own), own, found.probability)

    def of_files(values: Tensor, unknown: float = -1.0) -> Tensor:
        return values.new_full(given.shape, unknown).masked_scatter(judged, values)

    return Refiled(
        given=given,
        group=torch.where(judged, of_files(torch.where(group < 0, -1, names[group])), given),
        probability=of_files(found.probability, torch.nan),
        fits=of_files(names[found.fits]),
        fits_probability=of_files(found.fits_probability, torch.nan),
        share=found.share,
    )


def together(one: Features, other: Features) -> Mapping[str, Float[Tensor, "files _"]]:
    """Return the features of two encoders side by side, each centred and scaled to length 1.

    Args:
        one, other: features of the same files and of the same kinds.
    """
    return {
        name: torch.cat([normalize(each - each.mean(0), dim=1) for each in (one[name], other[name])], 1)
        for name in one
        if name in other
    }


def keep_one(
    group: Int64[Tensor, " members"], given: Int64[Tensor, " members"], probability: Float[Tensor, " members"]
) -> Int64[Tensor, " members"]:
    """Return to each group without members the one that was given to it and is the least probably wrong.

    Members that were moved to another group are returned only if no other was given to it.

    Args:
        group: number of each member's group; -1: none.
        given: that of the group that it was given to, without gaps.
        probability: probability that it does not belong there.
    """
    order = (probability.double() + (group >= 0)).argsort(stable=True)
    order = order[given[order].argsort(stable=True)]
    sizes = given.bincount()
    best, group = order[sizes.cumsum(0) - sizes], group.clone()
    while bool((empty := group[group >= 0].bincount(minlength=len(sizes)) == 0).any()):
        group[best[empty]] = torch.nonzero(empty)[:, 0]
    return group
