"""Members that do not belong to their group, of anything that has features."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from uota.errors import UotaError
from uota.membership.grouped import ROWS, Grouped
from uota.membership.injection import Choice, Features, choose, exchange, project
from uota.membership.mixture import probabilities, share_interval
from uota.membership.scores import SCORES
from uota.numerics import seed_of

# Fewest groups of at least two members: a member is compared with the spread of at least two other groups.
MIN_COMPARABLE_GROUPS = 3
# About how many exchanged members show the distribution of outliers' scores, and how often members are exchanged.
EXCHANGED, EXCHANGES = 2000, 10


@dataclass(frozen=True)
class MemberVerdicts:
    """Which members do not belong to their group.

    Attributes:
        probability: probability that a member does not belong to its group. For the only member of a group, which
            nothing can be said of, it is the estimated share.
        score: how well a member fits its group; higher is better. NaN for the only member of a group.
        fits: the other group that a member fits best.
        share: estimated share of members that do not belong.
        interval: its 95 % interval.
        choice: the score that was chosen by injection, and how well each candidate did.
    """

    probability: Float[Tensor, " members"]
    score: Float[Tensor, " members"]
    fits: Int64[Tensor, " members"]
    share: float
    interval: tuple[float, float]
    choice: Choice


def score_members(features: Features, groups: Int64[Tensor, " members"], seed: int = 0) -> MemberVerdicts:
    """Estimate for each member the probability that it does not belong to its group.

    Nothing is trained. Several scores are tried on members that are exchanged between groups on purpose, and the one
    that finds those best serves; their scores are also the distribution that outliers' scores are known to have. Time
    is linear in members, but for the group that each fits best, which is looked for in all groups.

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
    z, score = project(features, choice.best.parts), SCORES[choice.best.score]
    members = Grouped(z, group, len(names), seed)
    observed = score(members)[several]
    null, null_group = _exchanged(members, choice, seed)
    of_several, share = probabilities(observed, null)
    probability = torch.full((len(group),), share, dtype=torch.float64)
    probability[several] = of_several
    return MemberVerdicts(
        probability.to(z),
        torch.full_like(z[:, 0], torch.nan).masked_scatter(several, observed),
        names[best_other_group(members, probability)],
        share,
        share_interval(observed, group[several], null, null_group, seed),
        choice,
    )


def best_other_group(members: Grouped, probability: Float[Tensor, " members"]) -> Int64[Tensor, " members"]:
    """Return the other group whose centre each member is nearest to; outliers count little in centres."""
    belongs = (1 - probability).clamp_min(1e-3).to(members.z)
    centres = normalize(members.sum_by_group(belongs[:, None] * members.z), dim=-1)
    found = []
    for rows in torch.arange(len(members.z)).split(ROWS):
        cosines = members.z[rows] @ centres.T
        found.append(cosines.scatter(1, members.group[rows, None], -torch.inf).argmax(1))
    return torch.cat(found)


def _exchanged(members: Grouped, choice: Choice, seed: int) -> tuple[Tensor, Tensor]:
    """Return the scores of members after they were exchanged, and the groups that they came from."""
    repeats = min(EXCHANGES, 1 + 10 * EXCHANGED // len(members.group))
    scores, groups = [], []
    for repeat in range(repeats):
        group, injected = exchange(members.group, seed_of(seed, repeat, 1))
        scores.append(SCORES[choice.best.score](Grouped(members.z, group, members.groups, seed))[injected])
        groups.append(members.group[injected])
    return torch.cat(scores), torch.cat(groups)


def _check(features: Features, groups: int) -> None:
    if groups < MIN_COMPARABLE_GROUPS:
        raise UotaError(
            f"there are {groups} groups of two or more members, too few to find those that do not belong; "
            f"give at least {MIN_COMPARABLE_GROUPS}"
        )
    for name, each in features.items():
        if not bool(torch.isfinite(each).all()):
            raise UotaError(f"features {name} have NaN or infinite entries; give finite ones")
