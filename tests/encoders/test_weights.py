"""Weights as other libraries save them: features must equal those of torchvision's network."""

import argparse

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from uota.encoders.encoder import Encoder
from uota.encoders.weights import first_kernel, infer_backbone, load_weights, read_weights
from uota.errors import UotaError

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def theirs():
    """torchvision's ResNet-18 with batch norm statistics that differ from the initial ones."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18()
    with torch.no_grad():
        model(torch.randn(8, 3, 64, 64))
    return model.eval()


def prefixed(prefix, state):
    return {prefix + key: tensor for key, tensor in state.items()}


def with_momentum_copy(first, second, theirs):
    """A checkpoint with a trained copy, and a momentum copy with other values."""
    other = {key: torch.zeros_like(tensor) for key, tensor in theirs.state_dict().items()}
    return {
        "state_dict": prefixed(second, other) | prefixed(first, theirs.state_dict()),
        "epoch": 200,
        "best": torch.tensor(67.5),
    }


LAYOUTS = {
    "torchvision": lambda m: m.state_dict(),
    "swav and uota": lambda m: prefixed("module.", m.state_dict()) | {"module.prototypes.weight": torch.zeros(30, 8)},
    "moco": lambda m: with_momentum_copy("module.encoder_q.", "module.encoder_k.", m),
    "moco v3": lambda m: with_momentum_copy("module.base_encoder.", "module.momentum_encoder.", m),
    "solo-learn": lambda m: with_momentum_copy("backbone.", "momentum_backbone.", m),
    "simsiam": lambda m: {"epoch": 3, "state_dict": prefixed("module.encoder.", m.state_dict())},
    "lightly": lambda m: {"state_dict": prefixed("backbone.", nn.Sequential(*list(m.children())[:-1]).state_dict())},
    "dino": lambda m: {"student": {"x": torch.zeros(3)}, "teacher": prefixed("backbone.", m.state_dict())},
    "older torch": lambda m: {k: v for k, v in m.state_dict().items() if not k.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_features_equal_torchvisions(layout, theirs, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(LAYOUTS[layout](theirs), file)
    weights = read_weights(file)
    assert infer_backbone(weights, file) == "resnet18"
    assert first_kernel(weights) == (3, 7)
    encoder = Encoder("resnet18", 3, 64).eval()
    loaded = load_weights(encoder.backbone, weights, file, "resnet18")
    assert f"{loaded.used} tensors" in str(loaded)
    assert loaded.used + len(loaded.unused) == len(weights)
    assert not any("layer" in name and "k." not in name and "momentum" not in name for name in loaded.unused)
    with torch.no_grad():
        expected = theirs.avgpool(nn.Sequential(*list(theirs.children())[:-2])(IMAGES)).flatten(1)
        torch.testing.assert_close(encoder(IMAGES), expected)


def test_safetensors_and_a_vision_transformer(tmp_path):
    file = tmp_path / "vit.safetensors"
    theirs = timm.create_model("vit_tiny_patch16_224", num_classes=7, img_size=64).eval()
    save_file(theirs.state_dict(), file)
    weights = read_weights(file)
    with pytest.raises(UotaError, match="--backbone"):
        infer_backbone(weights, file)
    assert first_kernel(weights) == (3, 16)
    encoder = Encoder("vit_tiny_patch16_224", 3, 64).eval()
    assert load_weights(encoder.backbone, weights, file, "vit").unused == ["head.bias", "head.weight"]
    theirs.reset_classifier(0)
    with torch.no_grad():
        torch.testing.assert_close(encoder(IMAGES), theirs(IMAGES))


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_resnets_are_recognised(name, tmp_path):
    with torch.device("meta"):
        weights = prefixed("encoder.", timm.create_model(name).state_dict())
    assert infer_backbone(weights, tmp_path) == name


def test_weights_of_another_network_are_refused(theirs, tmp_path):
    state = theirs.state_dict()
    lacking = {key: tensor for key, tensor in state.items() if not key.startswith("layer4.1.conv2")}
    for name, channels, weights, says in [
        ("resnet50", 3, state, r"does not fit resnet50: layer1.0.conv1.weight"),
        (
            "resnet18",
            1,
            state,
            r"conv1.weight has shape \(64, 3, 7, 7\) in the file and \(64, 1, 7, 7\) in the",
        ),
        ("resnet18", 3, lacking, "lacks 1 tensors of resnet18, such as layer4.1.conv2.weight"),
        ("tiny", 3, state, "no tensors for tiny"),
    ]:
        with pytest.raises(UotaError, match=says):
            load_weights(Encoder(name, channels, 64).backbone, weights, tmp_path / "w.pth", name)


def test_a_negative_variance_is_a_damaged_file(theirs, tmp_path):
    state = theirs.state_dict() | {"bn1.running_var": -torch.ones(64)}
    with pytest.raises(UotaError, match=r"w.pth has a negative variance in bn1.running_var: the file is damaged"):
        load_weights(Encoder("resnet18", 3, 64).backbone, state, tmp_path / "w.pth", "resnet18")


def test_a_pickle_is_read_on_request_alone(theirs, tmp_path):
    file = tmp_path / "with_arguments.pth"
    torch.save({"args": argparse.Namespace(lr=0.1), "model": theirs.state_dict()}, file)
    with pytest.raises(UotaError, match=r"can run any code.*--pickle=true"):
        read_weights(file)
    assert torch.equal(read_weights(file, pickle=True)["fc.bias"], theirs.fc.bias)
    file.write_bytes(b"cno_such_library\nOptions\n.")  # a pickle that refers to a class of a missing library
    with pytest.raises(UotaError, match="was saved with no_such_library"):
        read_weights(file, pickle=True)
    torch.save(theirs, file)
    assert torch.equal(read_weights(file, pickle=True)["fc.bias"], theirs.fc.bias)


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors"])
def test_other_files_are_refused(name, theirs, tmp_path):
    file = tmp_path / name
    save = save_file if name.endswith("safetensors") else torch.save
    save({"fc.bias": theirs.fc.bias.detach()}, file)
    whole = file.read_bytes()
    for content in (b"", b"no weights", whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(UotaError, match="not a file of weights"):
            read_weights(file)
    file.write_bytes(whole)
    assert torch.equal(read_weights(file)["fc.bias"], theirs.fc.bias)
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(UotaError, match="holds no tensors"):
        read_weights(tmp_path / "empty.pth")
