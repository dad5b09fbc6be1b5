"""Both croppers against torchvision's resized_crop, and TensorFlow's bicubic resizing against its definition."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from uota.views.crops import are_small, crop_any, crop_small, resampling, resized_aliased
from uota.views.parameters import resized_crop_boxes, sample_uniforms


def drawn_boxes(count, height, width, scale=(0.02, 1.0)):
    uniforms = sample_uniforms(0, [(0, index) for index in range(count)], 1)
    sides = (np.full((1, count), side) for side in (height, width))
    return torch.from_numpy(resized_crop_boxes(uniforms, *sides, scale, (3 / 4, 4 / 3)))[0]


def reference(image, box, flip, size, mode="bilinear"):
    box = [int(side) for side in box]
    view = F.resized_crop(image, *box, (size, size), InterpolationMode(mode), antialias=True)
    if image.is_floating_point() and image.max() <= 1:
        view = view.clamp(0, 1)
    return F.horizontal_flip(view) if flip else view


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(28, 28), (56, 40)])
@pytest.mark.parametrize("size", [7, 16, 33])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_small_crops_equal_torchvision(channels, shape, size, mode):
    torch.manual_seed(0)
    images = torch.rand(5, channels, *shape)
    boxes = drawn_boxes(60, *shape).unflatten(0, (4, 15))
    which, flip = torch.randint(5, (4, 15)), torch.rand(4, 15) < 0.5
    ours = crop_small(images, which, boxes, flip, size, mode)
    flat = zip(ours, which.flatten(), boxes.flatten(0, 1), flip.flatten(), strict=True)
    for view, image, box, mirrored in flat:
        torch.testing.assert_close(view, reference(images[image], box, mirrored, size, mode), atol=1e-5, rtol=0)


def test_images_in_order_give_the_same_crops_as_images_in_any_order():
    torch.manual_seed(0)
    images, boxes = torch.rand(6, 1, 28, 28), drawn_boxes(24, 28, 28).unflatten(0, (4, 6))
    flip = torch.rand(4, 6) < 0.5
    ordered = crop_small(images, torch.arange(6).expand(4, 6), boxes, flip, 16)
    gathered = crop_small(images[torch.arange(5, -1, -1)], torch.arange(5, -1, -1).expand(4, 6), boxes, flip, 16)
    torch.testing.assert_close(ordered, gathered, atol=1e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_crops_of_any_images_equal_torchvision(channels, mode):
    torch.manual_seed(0)
    images = [torch.randint(0, 256, (channels, *side), dtype=torch.uint8) for side in ((120, 90), (61, 200))]
    which, flip = torch.randint(2, (2, 10)), torch.rand(2, 10) < 0.5
    boxes = drawn_boxes(20, 61, 90).unflatten(0, (2, 10))
    ours = crop_any(images, which, boxes, flip, 32, mode)
    flat = zip(ours, which.flatten(), boxes.flatten(0, 1), flip.flatten(), strict=True)
    for view, image, box, mirrored in flat:
        expected = reference(images[image], box, mirrored, 32, mode)
        exact = reference(images[image].float(), box, mirrored, 32, mode)
        torch.testing.assert_close(view, expected, atol=1, rtol=0)
        if mode == "bilinear":  # bicubic overshoot is clipped between the axes, as in Pillow
            torch.testing.assert_close(view.float(), exact, atol=1.01, rtol=0)
        if channels == 3:
            difference = (view.int() - pillow_crop(images[image], box, mirrored, mode).int()).abs()
            assert difference.max() <= (1 if mode == "bilinear" else 15)  # noise overshoots most
            assert difference.float().mean() < 0.5


def pillow_crop(image, box, flip, mode):
    top, left, high, wide = (int(side) for side in box)
    picture = Image.fromarray(image.permute(1, 2, 0).numpy()).crop((left, top, left + wide, top + high))
    view = F.pil_to_tensor(picture.resize((32, 32), Image.Resampling[mode.upper()]))
    return view.flip(-1) if flip else view


def aliased(line, size):
    """Resize a line in float64 by the definition: Keys's cubic over the four nearest pixels within the line."""
    out = []
    for target in range(size):
        centre = (target + 0.5) * len(line) / size - 0.5
        near = [
            pixel for pixel in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3) if 0 <= pixel < len(line)
        ]
        d = np.abs(np.array(near) - centre)
        weights = np.where(d < 1, 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2)
        out.append((weights / weights.sum()) @ line[near])
    return np.array(out)


@pytest.mark.parametrize("shape", [(9, 40), (50, 7), (1, 1), (90, 61)])
@pytest.mark.parametrize("size", [7, 33, 64])
def test_aliased_crops_equal_the_definition_of_tensorflow(shape, size):
    image = torch.randint(0, 256, (3, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    rows = np.stack([aliased(channel, size) for channel in image.double().numpy()])
    exact = np.stack([aliased(channel.T, size).T for channel in rows])
    np.testing.assert_allclose(resized_aliased(image, size), exact, atol=1e-3)
    one, box = torch.zeros(1, 1, dtype=torch.long), torch.tensor([[[0.0, 0.0, *shape]]])
    flip = torch.zeros(1, 1, dtype=torch.bool)
    any_size = crop_any([image], one, box, flip, size, "bicubic_aliased")[0]
    small = crop_small(image[None].float() / 255, one, box, flip, size, "bicubic_aliased")[0]
    np.testing.assert_allclose(any_size, exact.clip(0, 255), atol=0.501)
    np.testing.assert_allclose(small * 255, exact.clip(0, 255), atol=2e-3)


def test_weights_sum_to_one_and_stay_in_the_segment():
    weights = resampling(torch.tensor([1, 7, 20]), 20, 8)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 8))
    assert not weights[0, :, 1:].any()
    assert not weights[1, :, 7:].any()


def test_small_images_have_one_size():
    small, other, large = (torch.zeros(1, *side, dtype=torch.uint8) for side in ((28, 28), (28, 30), (97, 97)))
    assert are_small([small, small])
    assert not are_small([small, other])
    assert not are_small([large, large])
