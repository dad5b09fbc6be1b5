"""Members that do not belong to their group, of anything that has features."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from uota.errors import UotaError
from uota.membership.grouped import Grouped
from uota.membership.injection import Scorer, choose, exchange
from uota.membership.mixture import probabilities, share_interval
from uota.membership.nearest import nearest_member
from uota.membership.projected import Features, row_blocks
from uota.membership.result import MemberVerdicts
from uota.membership.shares import of_all_ranks, own_share
from uota.membership.similar import most_similar
from uota.numerics import seed_of

# Fewest groups of at least two members: a member is compared with the spread of at least two other groups.
MIN_COMPARABLE_GROUPS = 3
# About how many exchanged members show what becomes of outliers, how often members are exchanged for that, and which
# share of them at a time: the more, the less is left of the groups that they are compared with.
EXCHANGED, EXCHANGES, SHARE = 1000, 10, 0.05


@dataclass(frozen=True)
class Exchanged:
    """What is known of members after they were exchanged on purpose.

    Attributes:
        score: how well each fits the group that it was put into.
        group: the group that it came from.
        margin: how much nearer the other group that it fits best is than the next one.
        is_found: whether that is the group that it came from.
    """

    score: Float[Tensor, " exchanged"]
    group: Int64[Tensor, " exchanged"]
    margin: Float[Tensor, " exchanged"]
    is_found: Bool[Tensor, " exchanged"]


def score_members(features: Features, groups: Int64[Tensor, " members"], seed: int = 0) -> MemberVerdicts:
    """Estimate for each member the probability that it does not belong to its group.

    Nothing is trained. Several scores are tried on members that are exchanged between groups on purpose, and the one
    that finds those best serves, or the weighted sum of all; the scores of exchanged members are also the distribution
    that outliers' scores are known to have, and show how often a wrong member's right group is found. Time is linear in
    members, but for the group that each fits best, which is looked for in all groups.

    Args:
        features: features of the members, by kind; those of an encoder at the depths of `uota.encoders.eyes.DEPTHS` are
            tried in several combinations, and those of other kinds together.
        groups: any number for each group; groups may be of any sizes.
        seed: of the exchanges and samples.

    Raises:
        UotaError: there are fewer than three groups of two or more members, or features are not finite.
    """
    names, group = groups.unique(return_inverse=True)
    several = group.bincount()[group] > 1
    _check(features, len(group[several].unique()))
    choice = choose(features, group, seed)
    scorer = Scorer(features, choice.best, seed)
    of_parts = scorer.grouped(group, len(names), own_share(torch.nonzero(several)[:, 0]))
    members, (observed,) = of_parts[choice.parts], of_all_ranks(scorer(of_parts))
    null = exchange_members(members, scorer, choice.parts, seed)
    of_several, share = probabilities(observed, null.score)
    probability = torch.full((len(group),), share, dtype=torch.float64)
    probability[several] = of_several
    fits, margin = best_other_group(members, torch.arange(len(group)))
    return MemberVerdicts(
        group=groups,
        probability=probability.to(members.z.dtype),
        fdr=false_discoveries(probability).to(members.z.dtype),
        score=torch.full_like(probability, torch.nan, dtype=members.z.dtype).masked_scatter(several, observed),
        fits=names[fits],
        fits_probability=_chance(margin, null).to(members.z.dtype),
        nearest_own=nearest_member(members.z, group, group),
        nearest_other=nearest_member(members.z, group, fits),
        share=share,
        interval=share_interval(observed, group[several], null.score, null.group, seed),
        choice=choice,
    )


def exchange_members(members: Grouped, scorer: Scorer, parts: tuple[str, ...], seed: int) -> Exchanged:
    """Exchange members on purpose, as often as it takes to know what becomes of them.

    Args:
        members: all members in their groups.
        scorer: scores them.
        parts: the features by which the right group is looked for.
        seed: of the exchanges.
    """
    repeats = min(EXCHANGES, 1 + int(EXCHANGED / (SHARE * len(members.group))))
    found = []
    for repeat in range(repeats):
        group, injected = exchange(members.group, seed_of(seed, repeat, 1), SHARE)
        chosen = torch.nonzero(injected)[:, 0]
        of_parts = scorer.grouped(group, members.groups, own_share(chosen))
        (score,) = of_all_ranks(scorer(of_parts))
        fits, margin = best_other_group(of_parts[parts], chosen)
        own = members.group[chosen]
        found.append((score, own, margin, fits == own))
    return Exchanged(*(torch.cat(each) for each in zip(*found, strict=True)))


def best_other_group(
    members: Grouped, chosen: Int64[Tensor, " chosen"]
) -> tuple[Int64[Tensor, " chosen"], Float[Tensor, " chosen"]]:
    """Return the other group whose centre is most similar to each chosen member, and its lead over the next one.

    Members that do not agree with the rest of their group count little in its centre.
    """
    share = own_share(chosen)
    similar = most_similar(members.z, members.centres, members.group[share], share)
    fits, lead = of_all_ranks(similar.number[:, 0], similar.similarity[:, 0] - similar.similarity[:, 1])
    return fits, lead


def false_discoveries(probability: Float[Tensor, " members"]) -> Float[Tensor, " members"]:
    """Return the mean of 1 − P over all members of at least the same P."""
    order = probability.argsort(descending=True, stable=True)
    falling = probability[order]
    mean = (1 - falling.double()).cumsum(0) / torch.arange(1, len(order) + 1)
    last_of_equals = torch.searchsorted(-falling.contiguous(), -probability.contiguous(), right=True) - 1
    return mean[last_of_equals]


def _chance(margin: Float[Tensor, " members"], null: Exchanged) -> Tensor:
    """Return the probability that the group that fits best is right, which rises with its lead over the next."""
    regression = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    regression.fit(null.margin.double().numpy(), null.is_found.double().numpy())
    return torch.from_numpy(np.asarray(regression.predict(margin.double().numpy())))


def _check(features: Features, groups: int) -> None:
    if groups < MIN_COMPARABLE_GROUPS:
        raise UotaError(
            f"there are {groups} groups of two or more members, too few to find those that do not belong; "
            f"give at least {MIN_COMPARABLE_GROUPS}"
        )
    for name, each in features.items():
        if not all(bool(each[rows].isfinite().all()) for rows in row_blocks(len(each))):
            raise UotaError(f"features {name} have NaN or infinite entries; give finite ones")
