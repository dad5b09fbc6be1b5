from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from uota.pages.pictures import data_uri, data_uris, fitted


def read(uri):
    head, _, text = uri.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(BytesIO(b64decode(text))).convert("RGB"))


@pytest.mark.parametrize("channels", [1, 3])
def test_small_pictures_are_lossless(channels):
    image = torch.randint(0, 256, (channels, 24, 30), dtype=torch.uint8)
    np.testing.assert_array_equal(read(data_uri(image)), image.expand(3, -1, -1).permute(1, 2, 0))


def test_pictures_are_shrunk_in_proportion_and_never_enlarged():
    assert fitted(torch.zeros(3, 400, 200, dtype=torch.uint8), 100).shape == (3, 100, 50)
    assert fitted(torch.zeros(3, 4000, 2, dtype=torch.uint8), 100).shape == (3, 100, 1)
    assert fitted(torch.zeros(3, 40, 20, dtype=torch.uint8), 100).shape == (3, 40, 20)


def test_quality_falls_until_all_pictures_fit():
    noise = [torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8) for _ in range(8)]
    best = sum(map(len, data_uris(noise, 10**9)))
    fitting = sum(map(len, data_uris(noise, int(0.8 * best))))
    assert fitting <= 0.8 * best < best
    assert read(data_uris(noise, 1)[0]).shape == (96, 96, 3)
