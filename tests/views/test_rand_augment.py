"""RandAugment of views: equal to timm's under each view's seed, and independent of the global generators."""

import random

import numpy as np
import pytest
import torch
from timm.data.auto_augment import rand_augment_transform
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from uota.views import PRESETS, ViewPipeline, ViewPreset, ViewSizePreset
from uota.views.rand_augment import preserve_global_generators, rand_augment_

MEAN = (0.485, 0.456, 0.406)


def crops(channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (6, channels, 16, 16), generator=generator, dtype=torch.uint8)


def augmented(images, seeds, mean=MEAN):
    x = images.float() / 255
    rand_augment_(x, seeds.view(-1, 1, 1, 1), 2, 10, mean)
    return x.mul(255).round().to(torch.uint8)


@pytest.mark.parametrize(("channels", "fill"), [(3, (124, 116, 104)), (1, 124)])
def test_each_view_equals_timms_under_its_own_seed(channels, fill):
    images, seeds = crops(channels), torch.arange(6) + 2**40
    found = augmented(images, seeds, MEAN[:channels])
    augment = rand_augment_transform("rand-n2-m10-mstd0.5", {"img_mean": fill})
    for image, view, seed in zip(images, found, seeds.tolist(), strict=True):
        random.seed(seed)
        np.random.seed([seed % 2**32, seed >> 32])
        assert torch.equal(view, pil_to_tensor(augment(to_pil_image(image))))


def test_views_neither_disturb_the_global_generators_nor_follow_them():
    random.seed(1)
    np.random.seed(1)
    python, numpy = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    with preserve_global_generators():
        random.seed(5)
        random.random()
    assert random.random() == python  # checked before further calls, as beartype draws from this generator too
    first = augmented(crops(), torch.arange(6))
    assert np.random.random() == numpy
    assert torch.equal(first, augmented(crops(), torch.arange(6)))


def test_a_pipeline_draws_and_records_the_seeds(large_source):
    plain = ViewSizePreset(2, 32, (0.2, 1.0), jitter_probability=0.0)
    augmented_size = ViewSizePreset(2, 32, (0.2, 1.0), jitter_probability=0.0, rand_augment=(2, 10))
    samples = [(0, 0), (0, 1), (1, 1)]
    one, two = (
        ViewPipeline(ViewPreset("x", (view_size,), (0.0,) * 3, (1.0,) * 3, 32))(large_source, samples)
        for view_size in (plain, augmented_size)
    )
    assert not one.parameters.rand_augment.any()
    seeds = two.parameters.rand_augment
    assert len(seeds.unique()) == seeds.numel()
    again = augmented(one.by_size[0].flatten(0, 1).mul(255).round(), seeds.flatten(), (0.0,) * 3)
    torch.testing.assert_close(again.float() / 255, two.by_size[0].flatten(0, 1), atol=1e-5, rtol=0)


def test_infomin_has_it_after_the_blur_and_before_grey():
    view_size = PRESETS["infomin"].sizes[0]
    assert view_size.rand_augment == (2, 10)
    assert view_size.order[:4] == ("jitter", "blur", "rand_augment", "grey")
