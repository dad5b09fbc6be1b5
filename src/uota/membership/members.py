"""Members that do not belong to their group, of anything that has features."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from uota.errors import UotaError
from uota.membership.destinations import ByCentres, ByNeighbours, Candidates, Logit, fit_logit, join
from uota.membership.grouped import ROWS, Grouped
from uota.membership.injection import Weighted, choose, exchange
from uota.membership.metric import PLAIN, Metrics, by_metrics
from uota.membership.mixture import probabilities, share_interval
from uota.membership.nearest import nearest_member
from uota.membership.projection import Features, Vectors, project, row_blocks
from uota.membership.shares import of_all_ranks, own_share
from uota.membership.verdicts import LIKELY, MemberVerdicts
from uota.numerics import seed_of

# Fewest groups of at least two members: a member is compared with the spread of at least two other groups.
MIN_COMPARABLE_GROUPS = 3
# About how many exchanged members show what becomes of outliers, how often members are exchanged for that, and which
# share of them at a time: the more, the less is left of the groups that they are compared with.
EXCHANGED, EXCHANGES, SHARE = 1000, 10, 0.05
# Probability not to belong below which a member is not compared with the members of other groups one by one.
SURE = 0.01


Finder = Callable[[Int64[Tensor, " rows"]], Candidates]


@dataclass(frozen=True)
class Null:
    """What is known of members after some were exchanged on purpose.

    Attributes:
        score: how well each that does not belong fits its group.
        group: the group that it was in before.
        moved: the members that were moved.
        by_centres, by_neighbours: groups that each of these may come from, found in both ways.
    """

    score: Float[Tensor, " exchanged"]
    group: Int64[Tensor, " exchanged"]
    moved: Int64[Tensor, " moved"]
    by_centres: Candidates
    by_neighbours: Candidates


def score_members(features: Features, groups: Int64[Tensor, " members"], seed: int = 0) -> MemberVerdicts:
    """Estimate for each member the probability that it does not belong to its group.

    Nothing is trained. Several scores are tried on members that are exchanged between groups on purpose, and the one
    that finds those best serves, or the weighted sum of all; the scores of exchanged members are also the distribution
    that outliers' scores are known to have, and show how a wrong member's right group is found.

    Args:
        features: features of the members, by kind.
        groups: any number for each group; groups may be of any sizes. Of a group of two, both members do not belong
            there if they do not belong together.
        seed: of the exchanges and samples.

    Raises:
        UotaError: there are fewer than three groups of two or more members, or features are not finite.
    """
    names, group = groups.unique(return_inverse=True)
    check_members(features, group)
    verdicts = score_vectors(project(features, seed), group, seed)
    return replace(verdicts, group=groups, fits=names[verdicts.fits])


def score_vectors(z: Vectors, group: Int64[Tensor, " members"], seed: int = 0) -> MemberVerdicts:
    """Do as `score_members`, given unit vectors.

    Args:
        z: unit vectors.
        group: number of each member's group, without gaps.
        seed: of the exchanges and samples.
    """
    several = group.bincount()[group] > 1
    choice = choose(z, group, seed)
    members = by_metrics(z, group, int(group.max()) + 1, seed, chosen=own_share(torch.nonzero(several)[:, 0]))
    (observed,) = of_all_ranks(choice.best(members))
    null = exchange_members(members[PLAIN], choice.best, seed)
    of_several, share = probabilities(observed, null.score)
    probability = torch.full((len(group),), share, dtype=torch.float64)
    probability[several] = of_several
    fits, fits_probability = tell_groups(members, null, probability)
    return MemberVerdicts(
        group=group,
        probability=probability.to(z.dtype),
        fdr=false_discoveries(probability).to(z.dtype),
        score=torch.full((len(group),), torch.nan, dtype=z.dtype).masked_scatter(several, observed),
        fits=fits,
        fits_probability=fits_probability,
        nearest_own=nearest_member(z, group, group),
        nearest_other=nearest_member(z, group, fits),
        share=share,
        interval=share_interval(observed, group[several], null.score, null.group, seed),
        choice=choice,
    )


def exchange_members(members: Grouped, score: Weighted, seed: int) -> Null:
    """Exchange members on purpose, as often as it takes to know what becomes of them.

    Args:
        members: all members.
        score: scores them.
        seed: of the exchanges and samples.
    """
    repeats = min(EXCHANGES, 1 + int(EXCHANGED / (SHARE * len(members.group))))
    scores, groups, moved, found = list[Tensor](), list[Tensor](), list[Tensor](), list[list[Candidates]]()
    for repeat in range(repeats):
        exchanged = exchange(members.group, seed_of(seed, repeat, 1), SHARE)
        wrong, of_repeat = (torch.nonzero(each)[:, 0] for each in (exchanged.wrong, exchanged.moved))
        by_metric = by_metrics(members.z, exchanged.group, members.groups, seed, chosen=own_share(wrong))
        scores += of_all_ranks(score(by_metric))
        groups.append(members.group[wrong])
        moved.append(of_repeat)
        rows = own_share(of_repeat)
        found.append([Candidates(*of_all_ranks(*finder(rows))) for finder in _finders(by_metric)])
    return Null(torch.cat(scores), torch.cat(groups), torch.cat(moved), *map(join, zip(*found, strict=True)))


def tell_groups(
    members: Metrics, null: Null, probability: Float[Tensor, " members"]
) -> tuple[Int64[Tensor, " members"], Float[Tensor, " members"]]:
    """Return the other group that each member fits best, and the probability that it belongs there.

    Those that belong to their group almost surely are compared with centres only.

    Args:
        members: all members.
        null: what is known of exchanged ones.
        probability: of each member not to belong to its group.
    """
    group, unsure = members[PLAIN].group, probability > SURE
    fits, chance = torch.empty_like(group), torch.empty(len(group), dtype=members[PLAIN].z.dtype)
    ways = zip((~unsure, unsure), _finders(members), (null.by_centres, null.by_neighbours), strict=True)
    for chosen, finder, candidates in ways:
        logit, rows = _fit_logit(candidates, null.moved, group, probability), torch.nonzero(chosen)[:, 0]
        told = [logit(finder(part)) for part in own_share(rows).split(ROWS)]
        fits[rows], chance[rows] = of_all_ranks(*(torch.cat(each) for each in zip(*told, strict=True)))
    return fits, chance


def _finders(members: Metrics) -> tuple[Finder, Finder]:
    by_centres = ByCentres(members)
    return by_centres, ByNeighbours(members, by_centres)


def _fit_logit(
    candidates: Candidates,
    moved: Int64[Tensor, " moved"],
    group: Int64[Tensor, " members"],
    probability: Float[Tensor, " members"],
) -> Logit:
    """Fit what finds the groups that moved members came from, to those that probably belonged there."""
    right = probability[moved] <= LIKELY
    chosen = right if bool(right.any()) else torch.ones_like(right)
    return fit_logit(Candidates(*(each[chosen] for each in candidates)), group[moved[chosen]])


def false_discoveries(probability: Float[Tensor, " members"]) -> Float[Tensor, " members"]:
    """Return the mean of 1 − P over all members of at least the same P."""
    order = probability.argsort(descending=True, stable=True)
    falling = probability[order]
    mean = (1 - falling.double()).cumsum(0) / torch.arange(1, len(order) + 1)
    last_of_equals = torch.searchsorted(-falling.contiguous(), -probability.contiguous(), right=True) - 1
    return mean[last_of_equals]


def check_members(features: Features, group: Int64[Tensor, " members"]) -> None:
    """Check that members can be compared.

    Raises:
        UotaError: there are fewer than three groups of two or more members, or features are not finite.
    """
    groups = int((group.bincount() > 1).sum())
    if groups < MIN_COMPARABLE_GROUPS:
        raise UotaError(
            f"there are {groups} groups of two or more members, too few to find those that do not belong; "
            f"give at least {MIN_COMPARABLE_GROUPS}"
        )
    for name, each in features.items():
        if not all(bool(each[rows].isfinite().all()) for rows in row_blocks(len(each))):
            raise UotaError(f"features {name} have NaN or infinite entries; give finite ones")
