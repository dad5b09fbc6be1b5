"""Fused colour and blur against torchvision's functions, applied view by view in the view's own order."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torchvision.transforms.v2 import functional as F

from uota.views import PRESETS, ViewPreset, ViewSizePreset, unnormalise
from uota.views.blur import blur_matrices
from uota.views.parameters import sample_uniforms, view_parameters
from uota.views.photometric import photometric

MEAN, STD = {1: (0.3,), 3: (0.485, 0.456, 0.406)}, {1: (0.35,), 3: (0.229, 0.224, 0.225)}
ADJUST = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)


def drawn(preset, batch, channels):
    whole = ViewPreset("test", (preset,), MEAN[channels], STD[channels], evaluation_size=preset.size)
    uniforms = sample_uniforms(0, [(0, index) for index in range(batch)], preset.count)
    side = np.full((preset.count, batch), 100)
    return view_parameters(whole, uniforms, torch.zeros(preset.count, batch).long(), side, side)


def reference(view, parameters, row, preset, mean, std):
    """Process one view with torchvision's functions, in float64."""
    view = view.double()
    view = view / 255 if view.max() > 1 else view
    names = ("brightness", "contrast", "saturation", "hue")
    factors = [getattr(parameters, name).flatten()[row].item() for name in names]
    for operation in parameters.jitter_order.flatten(0, 1)[row].tolist():
        if factors[operation] != (0 if operation == 3 else 1):
            view = ADJUST[operation](view, factors[operation])
    if parameters.grey.flatten()[row] and len(view) == 3:
        view = F.rgb_to_grayscale(view, 3)
    if sigma := parameters.blur_sigma.flatten()[row].item():
        view = F.gaussian_blur(view, [preset.blur_kernel] * 2, [sigma] * 2)
    if parameters.solarise.flatten()[row]:
        view = F.solarize(view, preset.solarise_threshold)
    return F.normalize(view, list(mean), list(std))


STRONG = ViewSizePreset(
    count=3,
    size=40,
    scale=(0.1, 1.0),
    brightness=0.8,
    contrast=0.8,
    saturation=0.8,
    hue=0.5,
    grey_probability=0.2,
    blur_probability=(1.0, 0.5, 0.0),
)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [12, 40, 240])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_views_equal_torchvision(channels, size, dtype):
    torch.manual_seed(0)
    preset, batch = replace(STRONG, size=size), 3 if size > 100 else 25
    crops = torch.randint(0, 256, (3 * batch, channels, size, size), dtype=torch.uint8)
    parameters = drawn(preset, batch, channels)
    given = crops.clone() if dtype == torch.uint8 else crops.float() / 255
    ours = photometric(given, parameters, preset, MEAN[channels], STD[channels])
    for row, crop in enumerate(crops):
        expected = reference(crop, parameters, row, preset, MEAN[channels], STD[channels])
        torch.testing.assert_close(ours[row].double(), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_solarised_views_equal_torchvision(channels):
    torch.manual_seed(0)
    preset = ViewSizePreset(2, 16, (0.1, 1.0), solarise_probability=(0.5, 1.0), blur_probability=0.5)
    crops = torch.randint(0, 256, (40, channels, 16, 16), dtype=torch.uint8)
    parameters = drawn(preset, 20, channels)
    ours = photometric(crops, parameters, preset, MEAN[channels], STD[channels])
    # a pixel within rounding of the threshold may fall on either side of it
    expected = [
        reference(crop, parameters, row, preset, MEAN[channels], STD[channels]) for row, crop in enumerate(crops)
    ]
    assert ((ours.double() - torch.stack(expected)).abs() > 1e-4).float().mean() < 1e-3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [5, 24, 96])
def test_blur_like_pillow_equals_pillow(channels, size):
    """Pillow rounds to 8 bits after each of its six passes, so values differ by at most 3 levels."""
    image = torch.randint(0, 256, (size, size, channels), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    picture = Image.fromarray(image.squeeze(-1).numpy())
    for sigma in (0.1, 0.35, 1.0, 2.0, 5.3):
        preset = ViewSizePreset(
            1, size, (0.1, 1.0), blur_probability=1.0, blur_sigma=(sigma, sigma), blur_like="pillow"
        )
        parameters = drawn(preset, 2, channels)
        crops = image.permute(2, 0, 1).expand(2, -1, -1, -1)
        ours = photometric(crops, parameters, preset, (0.0,) * channels, (1.0,) * channels)
        theirs = F.pil_to_tensor(picture.filter(ImageFilter.GaussianBlur(sigma)))
        torch.testing.assert_close(ours * 255, theirs.expand(2, -1, -1, -1).float(), atol=3.2, rtol=0)


@pytest.mark.parametrize("like", ["simclr", "byol"])
def test_jitter_of_grey_views_changes_brightness_and_contrast_alone(like):
    preset = ViewSizePreset(1, 6, (0.1, 1.0), jitter_probability=1.0, brightness=0.4, contrast=0.4, colour_like=like)
    parameters = drawn(preset, 40, 1)
    crops = torch.rand(40, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    ours = photometric(crops.clone(), parameters, preset, (0.0,), (1.0,))
    for row, crop in enumerate(crops):
        brightness, contrast = parameters.brightness[0, row], parameters.contrast[0, row]
        order = parameters.jitter_order[0, row].tolist()
        for code in order:
            if code == 0:
                crop = crop + brightness - 1 if like == "byol" else crop * brightness
            elif code == 1:
                crop = (crop - crop.mean()) * contrast + crop.mean()
            crop = crop.clamp(0, 1)
        torch.testing.assert_close(ours[row], crop, atol=1e-5, rtol=0)


def test_operations_follow_the_order_of_the_preset():
    """Turning grey first leaves hue nothing to change; turning grey last does not."""
    strong = ViewSizePreset(1, 8, (0.1, 1.0), jitter_probability=1.0, hue=0.5, brightness=0.8, grey_probability=1.0)
    first = replace(strong, order=("grey", "jitter", "blur", "solarise", "rand_augment"))
    parameters, colour = drawn(strong, 1, 3), torch.tensor([0.9, 0.5, 0.1]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    after, before = (
        photometric(colour.clone(), parameters, preset, (0.0,) * 3, (1.0,) * 3) for preset in (strong, first)
    )
    for view in (after, before):
        torch.testing.assert_close(view[0, 0], view[0, 1])
    grey = F.rgb_to_grayscale(colour[0], 3)
    expected = F.adjust_brightness(grey, parameters.brightness.item())
    torch.testing.assert_close(before[0], expected, atol=1e-5, rtol=0)
    assert (before - after).abs().max() > 0.01


def test_hue_of_uniform_colours_equals_torchvision():
    colours = torch.cartesian_prod(*(torch.tensor([0.0, 0.3, 1.0]),) * 3).T.reshape(3, 3, 9)
    preset = ViewSizePreset(1, 9, (0.1, 1.0), jitter_probability=1.0, hue=0.5)
    parameters = drawn(preset, 30, 3)
    crops = colours.repeat_interleave(3, 1).expand(30, -1, -1, -1)
    ours = photometric(crops.clone(), parameters, preset, (0.0,) * 3, (1.0,) * 3)
    for row in range(30):
        expected = F.adjust_hue(crops[row].double(), parameters.hue.flatten()[row].item())
        torch.testing.assert_close(ours[row].double(), expected, atol=1e-5, rtol=0)


def test_a_view_does_not_depend_on_the_others():
    torch.manual_seed(0)
    preset = PRESETS["swav"].sizes[1]
    crops, parameters = torch.rand(6 * 4, 3, 96, 96), drawn(preset, 4, 3)
    all_views = photometric(crops.clone(), parameters, preset, MEAN[3], STD[3])
    first = photometric(crops[:4].clone(), parameters[:1], preset, MEAN[3], STD[3])
    torch.testing.assert_close(all_views[:4], first, atol=1e-5, rtol=0)


def test_normalisation_is_undone():
    pixels = torch.rand(2, 5, 3, 4, 4)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN[3], STD[3]))
    torch.testing.assert_close(unnormalise((pixels - mean) / std, MEAN[3], STD[3]), pixels)


def test_rows_of_a_blur_sum_to_one_at_any_size():
    matrices = blur_matrices(torch.tensor([0.1, 2.0, 50.0]), 23, 40)
    torch.testing.assert_close(matrices.sum(-1), torch.ones(3, 40))
