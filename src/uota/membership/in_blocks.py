"""Results of many rows that are computed some rows at a time."""

from collections.abc import Callable, Sequence

from torch import Tensor


def in_blocks(rows: int, size: int, of: Callable[[slice], Sequence[Tensor]]) -> list[Tensor]:
    """Compute results of all rows, a block of rows at a time.

    They are written to tensors that are allocated once. Many small ones, kept between large temporary ones, would keep
    the memory of these from being used again, so that it grows by gigabytes.

    Args:
        rows: number of rows; of none, one empty block is computed.
        size: most rows of a block.
        of: computes the results of a block, each with a row for each of its rows.
    """
    made: list[Tensor] = []
    for start in range(0, max(rows, 1), size):
        block = slice(start, min(start + size, rows))
        results = of(block)
        made = made or [each.new_empty(rows, *each.shape[1:]) for each in results]
        for whole, part in zip(made, results, strict=True):
            whole[block] = part
    return made
