import pytest
import torch
from safetensors.torch import save_file

from uota.encoders.encoder import Encoder
from uota.errors import UotaError
from uota.runs.eyes import located_eyes, open_frozen_features
from uota.views import PRESETS


def test_a_file_of_weights_becomes_eyes(tmp_path):
    encoder = Encoder("tiny", 3, 32).eval()
    save_file(encoder.backbone.state_dict(), tmp_path / "tiny.safetensors")
    eyes = open_frozen_features(str(tmp_path / "tiny.safetensors"), PRESETS["small"])
    images = torch.randn(2, 3, 3, 64, 64)
    with torch.no_grad():
        expected = encoder(images.flatten(0, 1)).unflatten(0, (2, 3))
    torch.testing.assert_close(eyes([images])["output"], expected, rtol=1e-4, atol=1e-5)


def test_eyes_for_grey_images_cannot_see_colour(tmp_path):
    save_file(Encoder("tiny", 1, 32).backbone.state_dict(), tmp_path / "grey.safetensors")
    with pytest.raises(UotaError, match="is for grey images, and the views are in colour"):
        open_frozen_features(str(tmp_path / "grey.safetensors"), PRESETS["small"])


def test_unknown_eyes_are_refused():
    with pytest.raises(UotaError, match="mice is not the folder of a run"):
        open_frozen_features("mice", PRESETS["small"])


def test_paths_of_eyes_become_absolute_and_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "features", "pretrained"):
        (tmp_path / name).mkdir()
    assert located_eyes("mine") == str(tmp_path / "mine")
    for name in ("auto", "features", "pretrained", "resnet18"):
        assert located_eyes(name) == name
