"""A result, and members, that are made by hand."""

import torch

from uota.membership.choice import Choice, Weighted
from uota.membership.injection import Candidate, try_scores
from uota.membership.metric import PLAIN
from uota.membership.projection import project
from uota.membership.result import Misfiled
from uota.membership.verdicts import GroupVerdicts, MemberVerdicts

MARGIN = Candidate(PLAIN, "margin")


def made() -> Misfiled:
    """Four members in three groups, with names that are formulas, have control characters or are not UTF-8."""
    members = MemberVerdicts(
        torch.tensor([0, 0, 1, 2]),
        torch.tensor([0.1, 0.9, 0.5, 0.1]),
        torch.tensor([0.375, 0.1, 0.3, 0.375]),
        torch.tensor([0.2, -0.5, 0.0, torch.nan]),
        torch.tensor([2, 1, 0, 0]),
        torch.tensor([0.5, 0.25, torch.nan, 0.5]),
        torch.tensor([1, 0, -1, -1]),
        torch.tensor([3, 2, 0, 0]),
        0.25,
        (0.1, 0.4),
        Choice(Weighted(MARGIN.name, {MARGIN: 1.0}), {MARGIN.name: 0.75}),
    )
    groups = GroupVerdicts(
        torch.tensor([2, 1, 1]),
        torch.tensor([0.75, 0.0, 0.0]),
        torch.tensor([0, 1, 0, 0]),
        torch.tensor([1, -1, 0]),
        torch.tensor([0.5, 0.0, 0.25]),
    )
    return Misfiled(["a\n", "=b", "caf\udcff", "alone"], ["x", "@y", "z"], members, groups, "file")


def two_kinds(groups=150, size=4):
    """Vectors of members of which several kinds of features tell different things of their group."""
    random = torch.Generator().manual_seed(0)
    group = torch.arange(groups).repeat_interleave(size)
    kinds = {
        name: torch.randn(groups, 8, generator=random)[group] + 0.5 * torch.randn(len(group), 8, generator=random)
        for name in ("output", "last", "before")
    }
    return project(kinds), group


def trial_of(z, exchanged, several):
    return try_scores(z, exchanged, several, 0)[0]
