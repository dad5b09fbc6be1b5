import pytest
import torch
from safetensors.torch import save_file

from uota.encoders.encoder import Encoder
from uota.errors import UotaError
from uota.runs.eyes import located_eyes, module_features, open_frozen_features
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
    with pytest.raises(
        UotaError, match="there are no eyes mice; give auto, pretrained, thumbnails, the name of a timm model"
    ):
        open_frozen_features("mice", PRESETS["small"])


def test_a_module_is_used_in_eval_mode_and_without_gradients():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Dropout(0.5)).train()
    images = torch.randn(4, 3, 5, 5)
    features = module_features(module)(images)
    assert not features.requires_grad
    torch.testing.assert_close(features, module[0](images).flatten(1))


def test_a_module_that_cannot_see_the_images_is_refused():
    with pytest.raises(UotaError, match=r"cannot compute features of images of shape \(4, 3, 5, 5\)"):
        module_features(torch.nn.Linear(3, 2))(torch.randn(4, 3, 5, 5))
    with pytest.raises(UotaError, match="neither a name nor a module"):
        module_features(3)


def test_paths_of_eyes_become_absolute_and_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "features", "pretrained"):
        (tmp_path / name).mkdir()
    assert located_eyes("mine") == str(tmp_path / "mine")
    for name in ("auto", "features", "pretrained", "resnet18"):
        assert located_eyes(name) == name
