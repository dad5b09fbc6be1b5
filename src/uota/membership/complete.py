"""Verdicts with the fields that scoring does not compute yet, computed plainly; for until it does."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from uota.membership.result import GroupVerdicts, MemberVerdicts


def complete_members(found: Any, z: Float[Tensor, "members dim"], group: Int64[Tensor, " members"]) -> MemberVerdicts:
    """Return verdicts on members with all their fields; those that are complete are returned as they are."""
    if isinstance(found, MemberVerdicts):
        return found
    return MemberVerdicts(
        group,
        found.probability,
        _false_discoveries(found.probability),
        found.score,
        found.fits,
        torch.full_like(found.probability, torch.nan),
        _nearest(z, group, group),
        _nearest(z, group, found.fits),
        found.share,
        found.interval,
        found.choice,
    )


def judge_groups_if_possible(
    z: Float[Tensor, "members dim"],
    group: Int64[Tensor, " members"],
    probability: Float[Tensor, " members"],
    seed: int,
) -> GroupVerdicts:
    """Return the verdicts on groups, or sizes alone if there is nothing that judges them."""
    for name in ("judge_groups", "groups", "splits"):
        if find_spec(f"uota.membership.{name}") and hasattr(
            module := import_module(f"uota.membership.{name}"), "judge_groups"
        ):
            verdicts: GroupVerdicts = module.judge_groups(z, group, probability, seed)
            return verdicts
    size = group.bincount()
    unknown = torch.full((len(size),), torch.nan)
    return GroupVerdicts(size, unknown, torch.zeros_like(group), torch.full_like(size, -1), unknown)


def _false_discoveries(probability: Float[Tensor, " members"]) -> Tensor:
    """Return the mean of 1 − P of all members of at least the same P."""
    order = probability.argsort(descending=True, stable=True)
    wrong = (1 - probability[order].double()).cumsum(0) / torch.arange(1, len(order) + 1)
    last_of_equals = torch.searchsorted(-probability[order].contiguous(), -probability, right=True) - 1
    return wrong[last_of_equals].to(probability)


def _nearest(
    z: Float[Tensor, "members dim"], group: Int64[Tensor, " members"], among: Int64[Tensor, " members"]
) -> Tensor:
    """Return for each member the most similar other member of the group `among`; −1 if there is none."""
    found = torch.full_like(group, -1)
    for number in among.unique().tolist():
        seekers, candidates = (torch.nonzero(each == number)[:, 0] for each in (among, group))
        cosines = z[seekers] @ z[candidates].T
        cosines.masked_fill_(seekers[:, None] == candidates, -torch.inf)
        best = cosines.max(1)
        found[seekers] = torch.where(best.values.isfinite(), candidates[best.indices], -1)
    return found
