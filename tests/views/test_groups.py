"""Views of a grouped source: which image each view shows."""

from dataclasses import replace

import pytest
import torch

from uota.data import Groups
from uota.data.memory import TensorSource
from uota.views import PRESETS, ViewPipeline

PLAIN = PRESETS["small-grey-groups"]
FLAT = replace(PLAIN, sizes=tuple(replace(view_size, jitter_probability=0.0) for view_size in PLAIN.sizes))
SIZES = (2, 3, 6, 9, 40)


@pytest.fixture
def groups():
    """Sixty grey images, each with its own grey level."""
    levels = torch.arange(sum(SIZES), dtype=torch.uint8).view(-1, 1, 1, 1) * 4
    starts = [sum(SIZES[:place]) for place in range(len(SIZES))]
    members = [range(start, start + size) for start, size in zip(starts, SIZES, strict=True)]
    return Groups(TensorSource("levels", levels.expand(-1, 1, 28, 28).contiguous(), torch.arange(len(levels))), members)


def samples(epochs=50):
    return [(epoch, index) for epoch in range(epochs) for index in range(len(SIZES))]


def test_views_show_the_images_that_their_parameters_name(groups):
    views = ViewPipeline(FLAT, inject=0.3)(groups, samples(3))
    shown = torch.cat([tensor.mean((-3, -2, -1)) for tensor in views.by_size]) * FLAT.std[0] + FLAT.mean[0]
    torch.testing.assert_close(shown * 255 / 4, views.parameters.image.float(), atol=1e-3, rtol=0)
    assert views.index.tolist() == [index for _, index in samples(3)]
    assert torch.equal(views.labels, groups.labels[views.index])


def test_images_are_drawn_from_the_group_without_replacement(groups):
    image = ViewPipeline(PLAIN, seed=5)(groups, samples()).parameters.image
    for sample, (_, index) in enumerate(samples()):
        drawn = image[:, sample]
        times = drawn[:, None].eq(torch.tensor(list(groups.members[index]))).sum(0)
        assert times.sum() == 6
        assert times.max() - times.min() <= 1


def test_every_image_is_equally_likely_in_every_place(groups):
    image = ViewPipeline(PLAIN)(groups, [(epoch, 1) for epoch in range(900)]).parameters.image
    for place in range(6):
        assert (image[place].bincount()[2:5] - 300).abs().max() < 75  # five standard deviations


def test_draws_follow_from_seed_epoch_and_index(groups):
    pipeline = ViewPipeline(PLAIN, seed=1)
    together, alone = pipeline(groups, [(0, 0), (2, 4), (0, 3)]), pipeline(groups, [(2, 4)])
    assert torch.equal(together.parameters.image[:, 1:2], alone.parameters.image)
    torch.testing.assert_close(together.by_size[0][:, 1:2], alone.by_size[0], atol=1e-5, rtol=0)
    assert not torch.equal(alone.parameters.image, pipeline(groups, [(3, 4)]).parameters.image)
    assert not torch.equal(alone.parameters.image, replace(pipeline, seed=2)(groups, [(2, 4)]).parameters.image)


@pytest.mark.parametrize("place", ["strangers", "batch"])
def test_injected_views_show_any_image_of_another_group(groups, place):
    views = ViewPipeline(PLAIN, inject=0.25, inject_from=place)(groups, samples())
    home = torch.repeat_interleave(torch.arange(len(SIZES)), torch.tensor(SIZES))[views.parameters.image]
    assert views.wrong.float().mean().item() == pytest.approx(0.25, abs=0.05)
    if place == "strangers":
        assert torch.equal(views.wrong, home != views.index)
    else:  # another sample of the batch may show the same group
        assert ((home != views.index) <= views.wrong).all()
    injected = views.parameters.image[views.wrong]
    assert len(injected[injected >= 20].unique()) > 25  # images of the group of forty


def test_without_injection_nothing_is_known_to_be_wrong(groups):
    assert ViewPipeline(PLAIN)(groups, samples(1)).wrong is None


def test_presets_of_groups_are_two_large_and_some_small_views_across_images():
    across = {name: preset for name, preset in PRESETS.items() if preset.across_images}
    assert across.keys() == {"large-groups", "medium-groups", "small-groups", "small-grey-groups"}
    pixels = [[view_size.size for view_size in preset.sizes] for preset in across.values()]
    assert pixels == [[224, 96], [96, 64], [32, 20], [24, 16]]
    counts = [[view_size.count for view_size in preset.sizes] for preset in across.values()]
    assert counts == [[2, 4], [2, 1], [2, 4], [2, 4]]
    assert [preset.channels for preset in across.values()] == [3, 3, 3, 1]
