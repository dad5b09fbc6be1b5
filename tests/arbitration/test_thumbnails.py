"""What an arbiter sees of a view without an encoder."""

import torch
from torch import Tensor
from torch.testing import assert_close

from uota import thumbnails


def views(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_rows_are_as_wide_for_views_of_every_size():
    seen = thumbnails([views(2, 3, 3, 32, 32), views(4, 3, 3, 8, 8), views(1, 3, 3, 1, 1)])
    assert seen.shape == (7, 3, 3 * 144 + 64)
    assert bool(seen.isfinite().all())


def test_brightness_and_contrast_are_not_seen():
    some = views(2, 3, 1, 24, 24)
    assert_close(thumbnails([some]), thumbnails([3 * some + 2]), atol=2e-3, rtol=0)


def test_edges_are_the_rises_and_falls_of_each_cell():
    """One step from dark to bright, in the third column of cells: it rises to the right there, and nowhere else."""
    step = torch.zeros(1, 1, 1, 16, 16)
    step[..., 9:] = 1.0
    edges = thumbnails([step])[0, 0, 144:].view(4, 4, 4)
    risen = torch.zeros(4, 4, 4)
    risen[0, :, 2] = 0.5  # of unit length over four cells
    assert_close(edges, risen, atol=4e-3, rtol=0)


def test_an_empty_view_is_nothing():
    assert float(thumbnails([torch.full((2, 2, 1, 16, 16), 0.7)]).abs().max()) < 1e-3
