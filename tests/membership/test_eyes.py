"""Whole files are seen by the embedded encoder, or by the encoder of a user."""

import torch

from uota.data.memory import TensorSource
from uota.encoders.encoder import Encoder
from uota.encoders.eyes import DEPTHS
from uota.membership import eyes
from uota.membership.eyes import default_eyes, encoder_eyes, file_features
from uota.runs.encoder import LoadedEncoder
from uota.views import PRESETS, evaluation_view


def files_of(count, channels, side):
    random = torch.Generator().manual_seed(0)
    return TensorSource(
        "files", torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=random)
    )


def test_large_files_are_seen_by_the_embedded_encoder_at_all_depths():
    files = files_of(3, 3, 80)
    seen = default_eyes(files)
    assert seen.preset.evaluation_size == 128
    features = file_features(files, seen, bar=False)
    assert tuple(features) == DEPTHS
    assert features["output"].shape == (3, 1280)


def test_grey_files_have_the_features_of_their_colour_copies():
    grey = files_of(2, 1, 64)
    colour = TensorSource("files", grey.pixels.expand(-1, 3, -1, -1))
    seen = [file_features(each, default_eyes(each), bar=False)["last"] for each in (grey, colour)]
    torch.testing.assert_close(*seen, atol=1e-4, rtol=1e-3)


def test_small_files_are_seen_at_a_smaller_size():
    assert default_eyes(files_of(2, 3, 32)).preset.evaluation_size == 64


def test_features_are_those_of_single_files_whatever_the_batch(monkeypatch):
    files = files_of(7, 3, 32)
    encoder = Encoder("tiny", 3, 32).eval()
    preset = PRESETS["small"]
    seen = encoder_eyes(LoadedEncoder("tiny", encoder, "tiny", preset))
    monkeypatch.setattr(eyes, "BATCH", 3)
    monkeypatch.setattr("uota.encoders.eyes.LEAST_SIDE", 1)
    features = file_features(files, seen, bar=False)["output"]
    with torch.no_grad():
        expected = encoder(evaluation_view(files.images([4]), preset))[0]
    torch.testing.assert_close(features[4], expected, atol=1e-5, rtol=1e-4)


def test_an_encoder_of_two_networks_gives_its_output():
    preset, two = PRESETS["small"], torch.nn.Flatten()
    features = file_features(files_of(2, 3, 32), encoder_eyes(LoadedEncoder("two", two, "", preset)), bar=False)
    assert features["output"].shape == (2, 3 * preset.evaluation_size**2)
