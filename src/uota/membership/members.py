"""Members that do not belong to their group, of anything that has features."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from uota.errors import UotaError
from uota.membership.choice import choose, known_outliers
from uota.membership.destinations import ByCentres, ByNeighbours, Candidates, Logit, fit_logit, join
from uota.membership.elsewhere import likelihood_ratio, updated
from uota.membership.grouped import ROWS
from uota.membership.in_blocks import in_blocks
from uota.membership.injection import Exchanged, Trial, exchanges, score_all, try_scores
from uota.membership.metric import PLAIN, Metrics, by_metrics
from uota.membership.mixture import Nulls, estimate, share_interval
from uota.membership.nearest import nearest_member
from uota.membership.projection import Features, Vectors, project, row_blocks
from uota.membership.shares import of_all_ranks, own_share
from uota.membership.verdicts import LIKELY, MemberVerdicts
from uota.numerics import seed_of

# Fewest groups of at least two members: a member is compared with the spread of at least two other groups.
MIN_COMPARABLE_GROUPS = 3
# Most moved members of an exchange whose groups are looked for, of more a random sample.
MOVED = 4096
# Probability not to belong below which a member is not compared with the members of other groups one by one.
SURE = 0.01


Finder = Callable[[Int64[Tensor, " rows"]], Candidates]


class Moved(NamedTuple):
    """Members that were moved to other groups on purpose.

    Attributes:
        rows: the members.
        by_centres, by_neighbours: groups that each of these may come from, found in both ways.
    """

    rows: Int64[Tensor, " moved"]
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
    several = torch.nonzero(group.bincount()[group] > 1)[:, 0]
    members = by_metrics(z, group, int(group.max()) + 1, seed, chosen=own_share(several))
    none = torch.zeros_like(several, dtype=torch.bool)
    observed = Trial(several, score_all(members), none, none)
    trials, moved = try_exchanges(z, group, several, seed)
    choice = choose(observed, trials)
    score, judged = choice.best(observed.scores), trials[1::2]  # weights are fitted to the others
    misplaced, foreign = known_outliers(judged, choice.best)
    nulls = Nulls(misplaced, foreign if choice.foreign.trust else None, choice.foreign.trust)
    found = estimate(score, nulls)
    probability, elsewhere = (torch.full((len(group),), of_one, dtype=torch.float64) for of_one in (found.share, 1.0))
    probability[several], elsewhere[several] = found.probability, found.elsewhere
    fits, fits_probability = tell_groups(members, moved, probability, elsewhere)
    return MemberVerdicts(
        group=group,
        probability=probability.to(z.dtype),
        fdr=false_discoveries(probability).to(z.dtype),
        score=torch.full((len(group),), torch.nan, dtype=z.dtype).index_copy(0, several, score),
        fits=fits,
        fits_probability=fits_probability.to(z.dtype),
        nearest_own=nearest_member(z, group, group),
        nearest_other=nearest_member(z, group, fits),
        share=found.share,
        interval=share_interval(
            score, group[several], nulls, torch.cat([group[each.rows[each.misplaced]] for each in judged]), seed
        ),
        choice=choice,
    )


def try_exchanges(
    z: Vectors, group: Int64[Tensor, " members"], several: Int64[Tensor, " several"], seed: int
) -> tuple[list[Trial], Moved]:
    """Exchange members on purpose several times, score them, and look for the groups that they came from.

    Args:
        z: unit vectors.
        group: number of each member's group.
        several: members of groups of two or more.
        seed: of the exchanges and samples.
    """
    gram = z[:] @ z[:].T if len(z) <= ROWS else None
    tried = [_try(z, each, several, seed, gram) for each in exchanges(group, seed)]
    trials, moved = zip(*tried, strict=True)
    rows, by_centres, by_neighbours = zip(*moved, strict=True)
    return list(trials), Moved(torch.cat(rows), join(by_centres), join(by_neighbours))


def _try(
    z: Vectors,
    exchanged: Exchanged,
    several: Int64[Tensor, " several"],
    seed: int,
    gram: Float[Tensor, "members members"] | None,
) -> tuple[Trial, Moved]:
    """Try one exchange; what is known of all members after it takes much memory, and is gone after it."""
    trial, members = try_scores(z, exchanged, several, seed, gram)
    moved = torch.nonzero(exchanged.moved)[:, 0]
    random = torch.Generator().manual_seed(seed_of(seed, len(moved)))
    some = moved[torch.randperm(len(moved), generator=random)[:MOVED].sort().values]
    found = [Candidates(*of_all_ranks(*finder(own_share(some)))) for finder in _finders(members)]
    return trial, Moved(some, *found)


def tell_groups(
    members: Metrics, moved: Moved, probability: Float[Tensor, " members"], elsewhere: Float[Tensor, " members"]
) -> tuple[Int64[Tensor, " members"], Float[Tensor, " members"]]:
    """Return the other group that each member fits best, and the probability that it belongs there.

    Those that belong to their group almost surely are compared with centres only. The clearer one group fits better
    than all others, the more probably a wrong member belongs to a group at all.

    Args:
        members: all members.
        moved: what is known of moved ones.
        probability: of each member not to belong to its group.
        elsewhere: of each to belong to another group, if not to its own, by its score alone.
    """
    group, unsure = members[PLAIN].group, probability > SURE
    fits, chance = torch.empty_like(group), torch.empty(len(group), dtype=members[PLAIN].z.dtype)
    ways = zip((~unsure, unsure), _finders(members), (moved.by_centres, moved.by_neighbours), strict=True)
    for chosen, finder, candidates in ways:
        logit, ratio = _fit_logit(candidates, moved.rows, group, probability)
        rows = torch.nonzero(chosen)[:, 0]
        fits[rows], best = of_all_ranks(*_tell(logit, finder, own_share(rows)))
        chance[rows] = best * updated(elsewhere[rows], ratio(best)).to(best.dtype)
    return fits, chance


def _tell(logit: Logit, finder: Finder, rows: Int64[Tensor, " rows"]) -> list[Tensor]:
    return in_blocks(len(rows), ROWS, lambda block: logit(finder(rows[block])))


def _finders(members: Metrics) -> tuple[Finder, Finder]:
    by_centres = ByCentres(members)
    return by_centres, ByNeighbours(members, by_centres)


def _fit_logit(
    candidates: Candidates,
    moved: Int64[Tensor, " moved"],
    group: Int64[Tensor, " members"],
    probability: Float[Tensor, " members"],
) -> tuple[Logit, Callable[[Tensor], Tensor]]:
    """Fit what finds the groups that moved members came from, to those that probably belonged there.

    Returns:
        It, and what tells how much more often it is so sure of members of these groups than of those of none.
    """
    right = probability[moved] <= LIKELY
    chosen = right if bool(right.any()) else torch.ones_like(right)
    known, home = Candidates(*(each[chosen] for each in candidates)), group[moved[chosen]]
    logit = fit_logit(known, home)
    return logit, likelihood_ratio(logit(known)[1], logit(known.without(home))[1])


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
        UotaError: there are fewer than three groups of two or more members, or features are not finite or all the same.
    """
    groups = int((group.bincount() > 1).sum())
    if groups < MIN_COMPARABLE_GROUPS:
        raise UotaError(
            f"groups of two or more members: {groups}; to find those that do not belong, give at least "
            f"{MIN_COMPARABLE_GROUPS}"
        )
    for name, each in features.items():
        if not all(bool(each[rows].isfinite().all()) for rows in row_blocks(len(each))):
            raise UotaError(f"features {name} have NaN or infinite entries; give finite ones")
    if all(bool((each[rows] == each[:1]).all()) for each in features.values() for rows in row_blocks(len(each))):
        raise UotaError("all members have the same embedding, which tells nothing of them; give others")
