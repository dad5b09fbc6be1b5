"""Exported encoders are loaded by the libraries that they are exported to."""

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file

from uota.encoders.encoder import Encoder
from uota.encoders.lab import LabEncoder
from uota.errors import UotaError
from uota.runs.encoder import LoadedEncoder
from uota.runs.export import EXPORTS, export
from uota.settings.evaluation import EncoderSpec
from uota.views import PRESETS


def loaded(name, views="supervised", encoder=None):
    """Make an encoder whose batch statistics are not the initial ones."""
    torch.manual_seed(0)
    preset = PRESETS[views]
    encoder = encoder or Encoder(name, preset.channels, preset.sizes[0].size)
    encoder(torch.randn(4, preset.channels, 64, 64))
    return LoadedEncoder(name, encoder.eval(), name, preset)


@pytest.fixture(autouse=True)
def no_gradient():
    with torch.no_grad():
        yield


IMAGES = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_timm_reads_it(tmp_path):
    ours = loaded("resnet18")
    call = EXPORTS["timm"](ours, tmp_path / "resnet.pth")
    theirs = eval(call, {"timm": timm}).eval()
    torch.testing.assert_close(theirs(IMAGES), ours.encoder(IMAGES))


def test_timm_reads_a_vision_transformer_for_small_images(tmp_path):
    ours = loaded("vit_tiny_patch16_224", "small")
    theirs = eval(EXPORTS["timm"](ours, tmp_path / "vit.pth"), {"timm": timm}).eval()
    images = IMAGES[..., :32, :32]
    torch.testing.assert_close(theirs(images), ours.encoder(images))


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_torchvision_reads_it(name, tmp_path):
    ours = loaded(name)
    code = EXPORTS["torchvision"](ours, tmp_path / "resnet.pth")
    names = {"torchvision": torchvision, "torch": torch}
    exec(code, names)
    torch.testing.assert_close(names["model"].eval()(IMAGES), ours.encoder(IMAGES))


@pytest.mark.parametrize(("name", "views"), [("tiny", "small-grey"), ("resnet18", "small"), ("resnet18", "supervised")])
def test_safetensors_reads_it(name, views, tmp_path):
    ours = loaded(name, views)
    call = EXPORTS["safetensors"](ours, tmp_path / "weights.safetensors")
    assert call == f"safetensors.torch.load_file({str(tmp_path / 'weights.safetensors')!r})"
    preset = PRESETS[views]
    again = Encoder(name, preset.channels, preset.sizes[0].size).eval()
    again.backbone.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    images = IMAGES[:, : preset.channels]
    assert torch.equal(again(images), ours.encoder(images))


def test_onnxruntime_reads_it(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    ours, preset = loaded("tiny", "small-grey"), PRESETS["small-grey"]
    EXPORTS["onnx"](ours, tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"), providers=["CPUExecutionProvider"])
    for rows in (1, 5):
        images = torch.randn(rows, preset.channels, preset.evaluation_size, preset.evaluation_size)
        (features,) = session.run(None, {"images": images.numpy()})
        np.testing.assert_allclose(features, ours.encoder(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("to", "name", "views", "says"),
    [
        (
            "timm",
            "tiny",
            "small-grey",
            "tiny, uota's own, which timm does not know; export it --to safetensors or onnx",
        ),
        ("torchvision", "tiny", "small-grey", "tiny, uota's own, which torchvision does not know"),
        ("timm", "resnet18", "small", "does not fit timm's resnet18: it has a first layer for small or grey images"),
        ("torchvision", "resnet18", "small", "first layer for small or grey images"),
        ("torchvision", "vit_tiny_patch16_224", "supervised", "torchvision has no network 'vit_tiny_patch16_224'"),
    ],
)
def test_networks_that_a_library_does_not_have_are_refused(to, name, views, says, tmp_path):
    with pytest.raises(UotaError, match=says):
        EXPORTS[to](loaded(name, views), tmp_path / "x.pth")


def test_an_encoder_that_differs_from_the_librarys_is_refused(tmp_path):
    ours = loaded("resnet18")
    ours.encoder.backbone.layer4[1].act2 = torch.nn.Tanh()
    with pytest.raises(UotaError, match="gives other features"):
        EXPORTS["torchvision"](ours, tmp_path / "x.pth")
    two = loaded("resnet18", "scenes-colour", LabEncoder("resnet18", 3, 24))
    with pytest.raises(UotaError, match="two networks"):
        EXPORTS["timm"](two, tmp_path / "x.pth")


def test_a_refused_or_failed_export_leaves_no_file(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(Encoder("tiny", 1, 24).state_dict(), file)
    with pytest.raises(UotaError, match="tiny"):
        export(EncoderSpec(str(file)), "timm", tmp_path / "out.pth")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weights.pth"]
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UotaError, match="cannot be written"):
        export(EncoderSpec(str(file)), "safetensors", tmp_path / "taken" / "out.safetensors")
