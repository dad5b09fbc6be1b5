import pytest
import torch

import uota
from uota.data.memory import TensorSource


def test_views_of_one_colour_show_nothing_and_have_no_probability():
    pixels = torch.randint(0, 256, (20, 3, 64, 64), dtype=torch.uint8)
    pixels[3] = 200
    pixels[4] = torch.tensor([9, 30, 200])[:, None, None]
    pixels[5, :, :, :32] = 0
    found = uota.inspect(TensorSource("made", pixels), views="small", eyes="thumbnails", steps=0)
    table, flat = found.table, found.table.shows_nothing
    for index in (3, 4):
        assert flat[:, table.item == index].all()
    sides = table.parameters.box[..., 1] + table.parameters.box[..., 3]
    left = (table.item == 5) & (sides <= 32)
    assert torch.equal(flat & (table.item == 5), left)
    assert not flat[:, (table.item < 3) | (table.item > 5)].any()
    frame = found.to_frame()
    assert (frame.outlier_probability_chosen.isna() == frame.shows_nothing).all()
    assert frame.shows_nothing.sum() == flat.sum()
    assert not (table.flagged & flat).any()


@pytest.mark.parametrize(("channels", "difference", "nothing"), [(3, 2, True), (3, 12, False), (1, 80, False)])
def test_a_faint_edge_shows_something(channels, difference, nothing):
    pixels = torch.full((3, 3, 64, 64), 128, dtype=torch.uint8)
    pixels[:, :channels, :, 32:] += difference
    table = uota.inspect(
        pixels, views="small", eyes="thumbnails", steps=0, view_options={"local": {"scale": [0.9, 1.0]}}
    ).table
    assert set(table.shows_nothing[2:].flatten().tolist()) == {nothing}
