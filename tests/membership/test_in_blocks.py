"""Results are those of all rows at once, whatever the blocks."""

import pytest
import torch

from uota.membership.in_blocks import in_blocks


@pytest.mark.parametrize(("rows", "size"), [(10, 3), (10, 10), (10, 100), (0, 4)])
def test_results_are_those_of_all_rows_at_once(rows, size):
    x = torch.randn(rows, 4, generator=torch.Generator().manual_seed(0))
    seen = []

    def squares_and_places(block):
        seen.append(len(x[block]))
        return x[block].square(), torch.arange(rows)[block]

    squares, places = in_blocks(rows, size, squares_and_places)
    assert torch.equal(squares, x.square())
    assert torch.equal(places, torch.arange(rows))
    assert max(seen) <= size
    assert sum(seen) == rows
