import pytest
import torch
from torchvision.transforms.v2 import RandAugment

from uota.views import PRESETS, GroupPreset, ViewPipeline, ViewPreset
from uota.views.rand_augment import rand_augmented


def crops():
    return torch.randint(0, 256, (6, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("as_float", [False, True])
def test_each_view_is_torchvisions_under_its_own_seed(as_float):
    seeds = torch.arange(6).view(3, 2)
    given = crops().float() / 255 if as_float else crops()
    before = torch.random.get_rng_state()
    found = rand_augmented(given, seeds, 2, 30)
    assert torch.equal(torch.random.get_rng_state(), before)
    for number in range(6):
        torch.manual_seed(number)
        assert torch.equal(found[number], RandAugment(2, 30)(crops()[number]))


def test_a_pipeline_draws_and_records_the_seeds(large_source):
    plain = GroupPreset(2, 32, (0.2, 1.0), jitter_probability=0.0)
    augmented = GroupPreset(2, 32, (0.2, 1.0), jitter_probability=0.0, rand_augment=(2, 30))
    samples = [(0, 0), (0, 1), (1, 1)]
    one, two = (
        ViewPipeline(ViewPreset("x", (group,), (0.0,) * 3, (1.0,) * 3, 32))(large_source, samples)
        for group in (plain, augmented)
    )
    assert not one.parameters.rand_augment.any()
    seeds = two.parameters.rand_augment
    assert len(seeds.unique()) == seeds.numel()
    again = rand_augmented(one.groups[0].flatten(0, 1), seeds, 2, 30).float() / 255
    torch.testing.assert_close(again, two.groups[0].flatten(0, 1), atol=1e-5, rtol=0)


def test_infomin_has_it():
    assert PRESETS["infomin"].groups[0].rand_augment == (2, 30)
