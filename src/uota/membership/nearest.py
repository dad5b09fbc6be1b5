"""The most similar member of a group."""

import torch
from jaxtyping import Int64
from torch import Tensor

from uota.membership.in_blocks import in_blocks
from uota.membership.projection import Vectors
from uota.membership.shares import of_all_ranks, own_share

# Members that look for their nearest at once.
ROWS = 512


def nearest_member(
    z: Vectors, group: Int64[Tensor, " members"], wanted: Int64[Tensor, " members"]
) -> Int64[Tensor, " members"]:
    """Return for each member the most similar other member of a group, by cosine; −1 if there is none.

    Members that look into the same groups are compared at once with all members of these.

    Args:
        z: unit vectors.
        group: number of each member's group, without gaps.
        wanted: number of the group that each member looks into.
    """
    filed = group.argsort(stable=True)
    ends = group.bincount().cumsum(0)
    seekers = own_share(wanted.argsort(stable=True))

    def find(block: slice) -> list[Tensor]:
        rows = seekers[block]
        first, last = int(wanted[rows[0]]), int(wanted[rows[-1]])
        candidates = filed[int(ends[first - 1]) if first else 0 : int(ends[last])]
        cosines = z[rows] @ z[candidates].T
        cosines[(group[candidates] != wanted[rows, None]) | (candidates == rows[:, None])] = -torch.inf
        best = cosines.max(1)
        return [torch.where(best.values.isfinite(), candidates[best.indices], -1)]

    rows, nearest = of_all_ranks(seekers, *in_blocks(len(seekers), ROWS, find))
    return torch.empty_like(nearest).scatter_(0, rows, nearest)
