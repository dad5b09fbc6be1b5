"""Which images are in which group, in memory that the processes of a run share."""

from collections.abc import Sequence
from typing import SupportsIndex

import torch
from jaxtyping import Int64
from torch import Tensor


class SharedMembers(Sequence[Sequence[int]]):
    """The images of each group, which can change while processes that make views of them run.

    These processes share its memory, so that the views of the next pass over the groups are of the new members.

    Args:
        members: indices of each group's images, of which none is in two groups.
        files: number of images, in groups or not.
    """

    def __init__(self, members: Sequence[Sequence[int]], files: int) -> None:
        group = torch.full((files,), -1)
        for number, images in enumerate(members):
            group[list(images)] = number
        self._files = torch.arange(files).share_memory_()
        self._ends = torch.zeros(len(members), dtype=torch.int64).share_memory_()
        self.refile(group)

    def __len__(self) -> int:
        """Number of groups."""
        return len(self._ends)

    def __getitem__(self, group: SupportsIndex) -> list[int]:  # type: ignore[override]
        """The images of a group."""
        group = int(group)
        start, end = self._ends[group - 1] if group else 0, self._ends[group]
        return self._files[int(start) : int(end)].tolist()

    @property
    def group(self) -> Int64[Tensor, " files"]:
        """Number of each image's group; -1: it is in none."""
        sizes = self._ends.diff(prepend=self._ends.new_zeros(1))
        filed = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        return torch.full_like(self._files, -1).scatter_(0, self._files[: len(filed)], filed)

    def refile(self, group: Int64[Tensor, " files"]) -> None:
        """Put each image in a group; -1: in none."""
        sizes = group[group >= 0].bincount(minlength=len(self._ends))
        order = torch.where(group < 0, len(self._ends), group).argsort(stable=True)
        self._files.copy_(order)
        self._ends.copy_(sizes.cumsum(0))
