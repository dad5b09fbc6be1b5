"""Distributions against torchvision's own draws; Philox streams against their documented key and counter."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, ks_2samp, kstest
from torchvision.transforms import v2

from uota.errors import UotaError
from uota.views import PRESETS, ViewPreset, ViewSizePreset
from uota.views.parameters import UNIFORMS, column, resized_crop_boxes, sample_uniforms, view_parameters

DRAWS = 4000
SMALLEST_P = 1e-3  # draws are seeded, so a test that passes keeps passing


def parameters_of(preset, draws=DRAWS, size=(375, 500)):
    uniforms = sample_uniforms(0, [(0, index) for index in range(draws)], preset.views)
    height, width = (np.full((preset.views, draws), side) for side in size)
    image = torch.arange(draws).expand(preset.views, -1)
    return view_parameters(preset, uniforms, image, height, width)


def one_view(**settings):
    view_size = ViewSizePreset(1, 32, settings.pop("scale", (0.08, 1.0)), **settings)
    return ViewPreset("test", (view_size,), (0.5,) * 3, (0.5,) * 3, evaluation_size=32)


def test_the_stream_of_a_sample_follows_from_seed_epoch_and_index():
    samples = [(3, 7), (0, 0), (2**40, 123456)]
    uniforms = sample_uniforms(42, samples, views=5)
    for number, (epoch, index) in enumerate(samples):
        stream = np.random.Philox(key=42, counter=[0, 0, epoch, index])
        np.testing.assert_array_equal(uniforms[:, number], np.random.Generator(stream).random((5, UNIFORMS)))


def test_a_sample_does_not_depend_on_its_batch():
    together = sample_uniforms(1, [(0, 0), (0, 1), (5, 1)], views=3)
    np.testing.assert_array_equal(together[:, 2:], sample_uniforms(1, [(5, 1)], views=3))


def test_an_invalid_seed_is_refused():
    with pytest.raises(UotaError, match="seed"):
        sample_uniforms(-1, [(0, 0)], views=1)


@pytest.mark.parametrize("size", [(375, 500), (28, 28), (40, 200), (200, 40)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.14, 1.0), (0.05, 0.14)])
def test_boxes_are_distributed_as_torchvision_draws_them(size, scale):
    torch.manual_seed(0)
    crop, image = v2.RandomResizedCrop(32, scale=scale), torch.empty(3, *size)
    drawn = [crop.make_params([image]) for _ in range(1500)]
    theirs = np.array([[box[name] for name in ("top", "left", "height", "width")] for box in drawn])
    ours = parameters_of(one_view(scale=scale), size=size).box[0].double().numpy()
    assert all(ks_2samp(ours[:, side], theirs[:, side]).pvalue > SMALLEST_P for side in range(4))
    shape = ks_2samp(ours[:, 2] / ours[:, 3], theirs[:, 2] / theirs[:, 3])
    area = ks_2samp(ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3])
    assert min(shape.pvalue, area.pvalue) > SMALLEST_P


def test_boxes_are_whole_pixels_inside_the_image():
    box = parameters_of(PRESETS["swav"], 500, size=(33, 47)).box
    assert torch.equal(box, box.round())
    assert (box[..., :2] >= 0).all()
    assert (box[..., 2:] >= 1).all()
    assert (box[..., 0] + box[..., 2] <= 33).all()
    assert (box[..., 1] + box[..., 3] <= 47).all()


@pytest.mark.parametrize("size", [(10, 300), (300, 10), (20, 21)])
def test_the_centre_is_used_if_no_attempt_fits_as_in_torchvision(size):
    scale = (3.0, 4.0)  # larger than any image, so that every attempt fails
    theirs = v2.RandomResizedCrop(32, scale=scale).make_params([torch.empty(3, *size)])
    uniforms = sample_uniforms(0, [(0, 0)], 1)
    ours = resized_crop_boxes(uniforms, *(np.array([[side]]) for side in size), scale, (3 / 4, 4 / 3))
    assert ours[0, 0].tolist() == [theirs[name] for name in ("top", "left", "height", "width")]


def test_jitter_is_distributed_as_torchvision_draws_it():
    torch.manual_seed(0)
    strengths = {"brightness": 0.8, "contrast": 1.5, "saturation": 0.4, "hue": 0.2}
    jitter = v2.ColorJitter(**strengths)
    drawn = [jitter.make_params([]) for _ in range(2000)]
    ours = parameters_of(one_view(jitter_probability=1.0, **strengths))
    for name in strengths:
        theirs = [draw[f"{name}_factor"] for draw in drawn]
        assert ks_2samp(getattr(ours, name)[0].numpy(), theirs).pvalue > SMALLEST_P


def test_every_order_of_the_jitter_is_equally_likely():
    drawn = parameters_of(one_view()).jitter_order[0].tolist()
    counts = [drawn.count(list(order)) for order in permutations(range(4))]
    assert sum(counts) == DRAWS
    assert chisquare(counts).pvalue > SMALLEST_P


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("flip_probability", "flip"),
        ("jitter_probability", "brightness"),
        ("grey_probability", "grey"),
        ("blur_probability", "blur_sigma"),
        ("solarise_probability", "solarise"),
    ],
)
@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_augmentations_occur_with_their_probabilities(setting, field, probability):
    values = getattr(parameters_of(one_view(brightness=0.4, **{setting: probability})), field)
    happened = values != 1 if field == "brightness" else values > 0
    assert happened.float().mean().item() == pytest.approx(
        probability, abs=4 * 0.5 / DRAWS**0.5 * (0 < probability < 1)
    )


def test_blur_sigmas_are_uniform():
    sigma = parameters_of(one_view(blur_probability=1.0, blur_sigma=(0.1, 2.0))).blur_sigma[0]
    assert kstest(sigma.numpy(), "uniform", (0.1, 1.9)).pvalue > SMALLEST_P


def test_views_of_one_size_may_differ():
    parameters = parameters_of(PRESETS["byol"], 1000)
    assert (parameters.blur_sigma[0] > 0).all()
    assert (parameters.blur_sigma[1] > 0).float().mean().item() == pytest.approx(0.1, abs=0.04)
    assert not parameters.solarise[0].any()
    assert parameters.solarise[1].any()


def test_columns_are_independent_of_each_other():
    uniforms = sample_uniforms(0, [(0, index) for index in range(2000)], 1)
    correlation = np.corrcoef(uniforms[0].T) - np.eye(UNIFORMS)
    assert np.abs(correlation).max() < 5 / 2000**0.5
    assert column(uniforms, "top").shape == (1, 2000)


def test_parameters_are_indexed_by_view():
    parameters = parameters_of(PRESETS["swav"], 5)
    assert parameters[:2].box.shape == (2, 5, 4)
    assert parameters.to("cpu").flip.shape == (8, 5)
