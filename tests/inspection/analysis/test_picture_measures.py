import math

import imagehash
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from uota.inspection.analysis.picture_measures import measure, relative_difference, sharpness


def as_tensor(picture):
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


@pytest.fixture
def drawing():
    picture = Image.new("RGB", (300, 200), "white")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((40, 30, 140, 130), fill="red", outline="black")
    pen.rectangle((170, 60, 270, 180), fill="blue")
    return picture


def test_the_hash_is_that_of_imagehash(drawing):
    small = drawing.resize((240, 160))
    expected = imagehash.phash(small, 16).hash.ravel()
    np.testing.assert_array_equal(np.unpackbits(measure(as_tensor(small)).bits), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_is_the_quantile_of_all_pixels(channels):
    pixels = torch.from_numpy(np.random.default_rng(0).integers(20, 200, (channels, 700, 500), dtype=np.uint8))
    found = measure(pixels)
    assert (found.height, found.width) == (700, 500)
    least, most = pixels.numpy().min(0), pixels.numpy().max(0)
    assert found.darkest == np.quantile(least, 0.001, method="inverted_cdf")
    assert found.brightest == np.quantile(most, 0.99, method="inverted_cdf")


def test_thin_lines_are_told_from_pale_areas():
    lines = torch.full((3, 100, 100), 255, dtype=torch.uint8)
    lines[:, ::10] = 190
    lines[:, 51] = 190  # two pixels wide together with the row before
    assert measure(lines)[6:8] == (190, 0.0)
    area = torch.full((3, 100, 100), 255, dtype=torch.uint8)
    area[:, 20:60] = 190
    area[:, 70] = 180
    assert measure(area)[6:8] == (180, pytest.approx(65 / 75))


def test_a_small_dark_thing_on_a_large_page_is_not_pale():
    page = torch.full((3, 1000, 1000), 255, dtype=torch.uint8)
    page[:, 500:540, 300:340] = 170
    page[:, 520:526, 310:316] = 60  # 0.004 % of the page, 2 % of what is drawn
    found = measure(page)
    assert (found.darkest, found.solid) == (60, 1.0)


def test_the_digest_tells_one_pixel_and_the_shape():
    pixels = torch.zeros(3, 40, 20, dtype=torch.uint8)
    changed = pixels.clone()
    changed[0, 3, 4] = 1
    digests = [measure(image).digest for image in (pixels, pixels.clone(), changed, pixels.reshape(3, 20, 40))]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("sigma", [1.5, 2.0])
def test_sharpness_of_a_blurred_step_is_that_of_its_gaussian(sigma):
    step = np.zeros((120, 120))
    step[:, 60:] = 0.6
    blurred = torch.from_numpy(gaussian_filter(step, sigma)).double()
    kernel = np.exp(-(np.arange(-99, 100) ** 2) / (2 * sigma**2))
    expected = kernel[98:100].sum() / kernel.sum() / 2  # central difference of the blurred step, beside it
    assert sharpness(blurred) == pytest.approx(expected, rel=1e-3)
    assert expected == pytest.approx(1 / (sigma * math.sqrt(2 * math.pi)), rel=0.1)


def test_sharpness_depends_on_neither_contrast_nor_background():
    step = torch.zeros(120, 120, dtype=torch.float64)
    step[:, 60:] = 1
    assert sharpness(step) == sharpness(0.3 * step) == 0.5
    assert math.isnan(sharpness(0.05 * step))
    assert math.isnan(sharpness(step[:2, :2]))
    assert math.isnan(sharpness(step[:15]))
    assert sharpness(step[:16, 59:]) == 0.5


def test_the_difference_of_thumbnails_is_relative_to_contrast():
    first = np.random.default_rng(0).integers(0, 200, (2, 16, 16, 3), dtype=np.uint8)
    second = first.copy()
    second[0] += 20
    found = relative_difference(first, second)
    a, b = first.astype(float), second.astype(float)
    expected = 20 / np.mean([a[0].std((0, 1)).mean(), b[0].std((0, 1)).mean()])
    np.testing.assert_allclose(found, [expected, 0], rtol=1e-5)
    flat = np.stack([np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 2, np.uint8)])
    assert relative_difference(flat[:1], flat[1:])[0] == 2
