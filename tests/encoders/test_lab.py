import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from uota.encoders.lab import LabEncoder, rgb_to_lab
from uota.errors import UotaError
from uota.views.photometric import normalise
from uota.views.presets import IMAGENET_MEAN, IMAGENET_STD


def test_lab_of_known_colours():
    """Expected are the published values of sRGB's white, black, primaries and a middle grey under D65."""
    known = {
        (1, 1, 1): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (1, 0, 0): (53.24, 80.09, 67.20),
        (0, 1, 0): (87.73, -86.18, 83.18),
        (0, 0, 1): (32.30, 79.19, -107.86),
        (0.5, 0.5, 0.5): (53.39, 0, 0),
    }
    colours = torch.tensor(list(known), dtype=torch.float64).view(-1, 3, 1, 1)
    expected = torch.tensor(list(known.values()), dtype=torch.float64)
    torch.testing.assert_close(rgb_to_lab(colours).flatten(1), expected, atol=0.05, rtol=0)


def test_lightness_equals_that_of_littlecms():
    """LittleCMS uses white D50, so that a and b differ slightly; lightness is the same."""
    pixels = torch.randint(0, 256, (20, 20, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    theirs = ImageCms.applyTransform(Image.fromarray(pixels.numpy()), ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    lightness = torch.from_numpy(np.array(theirs.getchannel(0)).flatten()).double() * 100 / 255
    ours = rgb_to_lab(pixels.permute(2, 0, 1).double() / 255)[0].flatten()
    assert float((ours - lightness).abs().max()) < 2.5


def test_each_encoder_sees_only_its_own_channels():
    torch.manual_seed(0)
    encoder = LabEncoder("tiny", 3, 24).eval()
    images = torch.rand(4, 3, 24, 24)
    features, early = encoder.with_early_map(images)
    assert features.shape == (4, encoder.width)
    assert early.shape[:2] == (4, 64)
    grey = images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    dark, bright = (encoder(normalise(x.clone(), IMAGENET_MEAN, IMAGENET_STD)) for x in (grey * 0.5, grey))
    half = encoder.lightness.width
    assert not torch.allclose(dark[:, :half], bright[:, :half], atol=1e-2)
    torch.testing.assert_close(dark[:, half:], bright[:, half:], atol=1e-3, rtol=0)


def test_grey_images_are_refused():
    with pytest.raises(UotaError, match="demo-scenes-colour"):
        LabEncoder("tiny", 1, 24)
