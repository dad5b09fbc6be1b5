import numpy as np
import pytest
import torch

from uota.errors import UotaError
from uota.views import PRESETS, ViewPipeline, ViewSizePreset
from uota.views.parameters import grid_cells


def test_cells_of_260_pixels_equal_the_papers():
    """The paper has six by six patches of 80 pixels, 36 apart."""
    cells = grid_cells(np.broadcast_to([10.0, 20.0, 260.0, 260.0], (36, 1, 4)), 6, 0.55)[:, 0]
    expected = [[10 + 36 * r, 20 + 36 * c, 80, 80] for r in range(6) for c in range(6)]
    np.testing.assert_array_equal(cells, expected)


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (3, 5, 7, 50), (0, 0, 41, 41)])
def test_cells_cover_their_box_and_stay_inside(box):
    cells = grid_cells(np.broadcast_to(np.array(box, dtype=float), (16, 1, 4)), 4, 0.5)[:, 0]
    top, left, height, width = box
    assert cells[:, 2:].min() >= 1
    assert (cells[:, 0].min(), cells[:, 1].min()) == (top, left)
    assert (cells[:, 0] + cells[:, 2]).max() == top + height
    assert (cells[:, 1] + cells[:, 3]).max() == left + width


def test_the_patches_of_an_image_share_one_crop(small_source):
    views = ViewPipeline(PRESETS["small-grey-cpc"])(small_source, [(0, 1), (0, 2)])
    assert views.by_size[0].shape == (16, 2, 1, 12, 12)
    box = views.parameters.box.view(4, 4, 2, 4)
    assert bool((box[..., 2:] == box[:1, :1, :, 2:]).all())
    assert bool((box[..., 0] == box[:, :1, :, 0]).all())
    assert bool((box[..., 1] == box[:1, :, :, 1]).all())
    assert not torch.equal(box[0, 0, 0], box[0, 0, 1])


def test_a_grid_has_as_many_views_as_cells():
    with pytest.raises(UotaError, match="9 views, not 8"):
        ViewSizePreset(8, 12, (0.5, 1.0), grid=3)
    with pytest.raises(UotaError, match="overlap"):
        ViewSizePreset(9, 12, (0.5, 1.0), grid=3, overlap=1.0)
    with pytest.raises(UotaError, match="16 views"):
        PRESETS["small-cpc"].with_counts([4])
