"""Misfiling on purpose: groups with a known share of files that belong to other groups, for demos and benchmarks."""

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from uota.data import Groups
from uota.errors import UotaError

ATTEMPTS = 1000


def misfile(groups: Groups, share: float, seed: int) -> tuple[Groups, Bool[Tensor, " files"]]:
    """Return the groups after a random share of the files has exchanged groups, and which files are misfiled.

    Each of those files lies in a random other group than before, and no group changes its size, name or label.

    Args:
        groups: they are not changed.
        share: of all files, from 0 to 1; rounded to a number of files.
        seed: of the choice.

    Raises:
        UotaError: the share is no such number, or so many files cannot lie in other groups than their own.
    """
    if not 0 <= share <= 1:
        raise UotaError(f"the share of misfiled files is {share}; give a number from 0 to 1")
    of_file = torch.full((len(groups.files),), -1)
    for number, members in enumerate(groups.members):
        of_file[list(members)] = number
    files = torch.nonzero(of_file >= 0)[:, 0]
    random = torch.Generator().manual_seed(seed)
    moved = files[torch.randperm(len(files), generator=random)[: round(share * len(files))]]
    filed = of_file.clone()
    filed[moved] = _exchange(of_file[moved], random)
    names = [groups.display_name(number) for number in range(len(groups))]
    return Groups(groups.files, _members(filed, len(groups)), groups.alone, names, groups.labels), filed != of_file


def _exchange(own: Int64[Tensor, " moved"], random: torch.Generator) -> Int64[Tensor, " moved"]:
    """Pass the groups of files in random order on to the next file; those that would keep theirs are drawn again."""
    order = torch.arange(len(own)).roll(1)
    for _ in range(ATTEMPTS):
        stuck = torch.nonzero(own[order] == own)[:, 0]
        if not len(stuck):
            return own[order]
        others = torch.randperm(len(own), generator=random)[: len(stuck)]
        drawn = torch.cat([stuck, others]).unique()
        order[drawn] = order[drawn[torch.randperm(len(drawn), generator=random)]]
    raise UotaError(f"{len(own)} file(s) cannot be exchanged between their groups; choose another share or more groups")


def _members(filed: Int64[Tensor, " files"], groups: int) -> list[list[int]]:
    """Return the files of each group; -1 is no group."""
    order = filed.argsort(stable=True)[int((filed < 0).sum()) :]
    sizes = filed[order].bincount(minlength=groups).tolist()
    return [members.tolist() for members in order.split(sizes)]
