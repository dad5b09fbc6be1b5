"""Work on members that ranks share: each rank takes some rows, and all ranks get the results of all rows."""

from collections.abc import Iterator

import torch
from jaxtyping import Int64
from torch import Tensor

from uota.distributed import gather_rows, rank, world_size
from uota.membership.projection import ROWS


def own_share(rows: Int64[Tensor, " rows"]) -> Int64[Tensor, " share"]:
    """Return the rows that this rank takes: some that stand side by side, about equally many on each rank."""
    return rows.tensor_split(world_size())[rank()]


def own_blocks(count: int) -> Iterator[Int64[Tensor, " block"]]:
    """Yield the rows of this rank's share of all rows, a block at a time."""
    yield from own_share(torch.arange(count)).split(ROWS)


def of_all_ranks(*results: Tensor) -> list[Tensor]:
    """Return the results of all shares, in the order of the rows that were shared."""
    return [gather_rows(each).rows for each in results]
