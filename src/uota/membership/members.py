"""Members that do not belong to their group, of anything that has features."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from uota.errors import UotaError
from uota.membership.grouped import ROWS, Grouped
from uota.membership.injection import Features, Scorer, choose, exchange
from uota.membership.mixture import probabilities, share_interval
from uota.membership.nearest import nearest_member
from uota.membership.verdicts import MemberVerdicts
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
    members = Grouped(scorer.z[choice.parts], group, len(names), seed)
    observed = scorer(group, len(names))[several]
    null = exchange_members(members, scorer, seed)
    of_several, share = probabilities(observed, null.score)
    probability = torch.full((len(group),), share, dtype=torch.float64)
    probability[several] = of_several
    fits, margin = best_other_group(members)
    return MemberVerdicts(
        group=groups,
        probability=probability.to(members.z),
        fdr=false_discoveries(probability).to(members.z),
        score=torch.full_like(members.z[:, 0], torch.nan).masked_scatter(several, observed),
        fits=names[fits],
        fits_probability=_chance(margin, null).to(members.z),
        nearest_own=nearest_member(members.z, group, group),
        nearest_other=nearest_member(members.z, group, fits),
        share=share,
        interval=share_interval(observed, group[several], null.score, null.group, seed),
        choice=choice,
    )


def exchange_members(members: Grouped, scorer: Scorer, seed: int) -> Exchanged:
    """Exchange members on purpose, as often as it takes to know what becomes of them."""
    repeats = min(EXCHANGES, 1 + int(EXCHANGED / (SHARE * len(members.group))))
    parts = []
    for repeat in range(repeats):
        group, injected = exchange(members.group, seed_of(seed, repeat, 1), SHARE)
        score = scorer(group, members.groups)[injected]
        fits, margin = best_other_group(Grouped(members.z, group, members.groups, seed), injected)
        own = members.group[injected]
        parts.append((score, own, margin, fits == own))
    return Exchanged(*(torch.cat(each) for each in zip(*parts, strict=True)))


def best_other_group(
    members: Grouped, chosen: Bool[Tensor, " members"] | None = None
) -> tuple[Int64[Tensor, " chosen"], Float[Tensor, " chosen"]]:
    """Return the other group whose centre is most similar to each member, and its lead over the next one.

    Args:
        members: the members; those that do not agree with the rest of their group count little in its centre.
        chosen: members to look at; None: all.
    """
    rows = torch.arange(len(members.z)) if chosen is None else torch.nonzero(chosen)[:, 0]
    fits, leads = [], []
    for part in rows.split(ROWS):
        cosines = members.z[part] @ members.centres.T
        best = cosines.scatter(1, members.group[part, None], -torch.inf).topk(2, 1)
        fits.append(best.indices[:, 0])
        leads.append(best.values[:, 0] - best.values[:, 1])
    return torch.cat(fits), torch.cat(leads)


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
        if not bool(torch.isfinite(each).all()):
            raise UotaError(f"features {name} have NaN or infinite entries; give finite ones")
