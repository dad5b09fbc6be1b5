"""Runs that start from given weights: which these are, what stays of them, and that they are needed only once."""

import json

import pytest
import torch
from PIL import Image

from uota.commands.cli import main
from uota.data import open_source
from uota.encoders.encoder import Encoder
from uota.encoders.pretrained import load_embedded_weights
from uota.errors import UotaError
from uota.methods.build import build_method
from uota.runs.encoder import load_encoder
from uota.runs.initial import read_initial
from uota.settings.evaluation import EncoderSpec
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain
from uota.training.resolve import resolve_auto


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of pictures of 70 × 64 pixels in two classes."""
    folder = tmp_path_factory.mktemp("photos")
    random = torch.Generator().manual_seed(0)
    for number in range(40):
        image = torch.randint(0, 256, (4, 4, 3), generator=random, dtype=torch.uint8).numpy()
        place = folder / ("a", "b")[number % 2] / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(image).resize((70, 64)).save(place)
    return folder


def settings_of(photos, **changes):
    few = {"data": str(photos), "steps": 2, "batch_size": 8, "workers": 0, "threads": 1, "accelerator": "cpu"}
    return Pretrain.from_flat(**few | {"size": 64, "local_views": 0, "arbiter": "none"} | changes)


def resolved(photos, **changes):
    return resolve_auto(settings_of(photos, **changes), open_source(str(photos)))


def equal(state, other):
    return state.keys() == other.keys() and all(torch.equal(state[name], other[name]) for name in state)


def embedded():
    encoder = Encoder("tf_efficientnet_lite0")
    load_embedded_weights(encoder.backbone)
    return encoder.backbone.state_dict()


def test_the_encoder_and_its_momentum_copy_start_from_the_embedded_weights(photos):
    settings = resolved(photos, method="byol", init="pretrained")
    method = build_method(settings, read_initial(settings))
    assert equal(method.encoder.backbone.state_dict(), embedded())
    assert equal(method.target.encoder.backbone.state_dict(), embedded())
    without = build_method(settings)  # heads are those of the seed
    assert equal(method.projector.state_dict(), without.projector.state_dict())
    assert not equal(without.encoder.backbone.state_dict(), embedded())


def test_a_file_of_another_program_is_a_start(photos, tmp_path):
    torch.manual_seed(5)
    other = Encoder("resnet18").backbone.state_dict()
    torch.save({"state_dict": {f"module.encoder.{name}": value for name, value in other.items()}}, tmp_path / "w.pth")
    settings = resolved(photos, init=str(tmp_path / "w.pth"))
    assert settings.method.backbone == "resnet18"
    assert equal(build_method(settings, read_initial(settings)).encoder.backbone.state_dict(), other)
    with pytest.raises(UotaError, match=r"does not fit|has no tensors|lacks"):
        read_initial(settings.replace_flat(backbone="resnet34"))


def test_published_weights_are_those_of_timm(photos, monkeypatch):
    asked = []

    def published(name, channels, size):
        asked.append((name, channels, size))
        return Encoder(name, channels, size)

    monkeypatch.setattr("uota.runs.initial.published_encoder", published)
    settings = resolved(photos, init="resnet18")
    assert read_initial(settings).keys() == Encoder("resnet18").backbone.state_dict().keys()
    assert asked == [("resnet18", 3, 64)]


def test_a_run_from_weights_needs_them_only_once(photos, tmp_path, monkeypatch, capsys):
    torch.manual_seed(5)
    weights = tmp_path / "w.pth"
    torch.save(Encoder("resnet18").backbone.state_dict(), weights)
    monkeypatch.chdir(tmp_path)
    settings = settings_of(photos, init="w.pth", frozen_stages=3, frozen_norms=True, norm_adaptation=0.0)
    made = pretrain(settings, tmp_path / "run", bar=False, lines=False)
    assert made.settings().method.init == str(weights)
    weights.unlink()
    found = load_encoder(EncoderSpec(str(made.folder)))
    assert (found.backbone, found.preset.evaluation_size) == ("resnet18", 64)
    assert main(["evaluate", "knn", str(made.folder)]) == 0
    assert main(["export", str(made.folder), "--to", "torchvision", "--out", str(tmp_path / "e.pth")]) == 0
    assert main(["pretrain", "--resume", "--out", str(made.folder)]) == 0  # nothing is left to train
    frozen = found.encoder.backbone.state_dict()
    torch.manual_seed(5)
    start = Encoder("resnet18").backbone.state_dict()
    changed = {name for name in start if not torch.equal(start[name], frozen[name])}
    assert changed
    assert not any(name.startswith(("conv1", "bn1", "layer1", "layer2")) for name in changed)
    assert not any("running" in name for name in changed)


def test_a_run_is_the_start_of_another(photos, tmp_path):
    first = pretrain(
        settings_of(photos, init="random", views="small", size=32), tmp_path / "first", bar=False, lines=False
    )
    settings = resolved(photos, init=str(first.folder), views="small", size=32)
    assert settings.method.backbone == "tiny"
    start = build_method(settings, read_initial(settings)).encoder
    assert equal(start.state_dict(), load_encoder(EncoderSpec(str(first.folder))).encoder.state_dict())


def test_a_resumed_run_from_the_embedded_weights_equals_an_uninterrupted_one(photos, tmp_path, monkeypatch):
    settings = settings_of(photos, steps=4, checkpoint_every=2, size=64, method="simclr")
    whole = pretrain(settings, tmp_path / "whole", bar=False, lines=False)

    class StopError(Exception):
        pass

    from uota.training.module import Pretraining

    original = Pretraining.training_step

    def stopping(self, views, index):
        if self.global_step == 3:
            raise StopError
        return original(self, views, index)

    monkeypatch.setattr(Pretraining, "training_step", stopping)
    with pytest.raises(StopError):
        pretrain(settings, tmp_path / "cut", bar=False, lines=False)
    monkeypatch.setattr(Pretraining, "training_step", original)
    monkeypatch.setattr("uota.training.pretrain.read_initial", lambda settings: pytest.fail("weights are read again"))
    before = json.loads((tmp_path / "cut" / "baseline.json").read_text())
    cut = pretrain(settings, tmp_path / "cut", resume=True, bar=False, lines=False)
    assert equal(whole.state()["state_dict"], cut.state()["state_dict"])
    first, second = (json.loads(each.baseline_file.read_text()) for each in (whole, cut))
    assert first == second
    assert before["after"] is None
    assert second["before"] == before["before"]


def test_a_default_run_is_exported_embedded_and_inspected(photos, tmp_path, capsys):
    folder = tmp_path / "run"
    flags = ["--steps=2", "--batch-size=8", "--workers=0", "--size=64", "--local-views=0", f"--data={photos}"]
    assert main(["pretrain", *flags, f"--out={folder}"]) == 0
    said = capsys.readouterr().out
    assert "init: pretrained (views of 64 pixels)" in said
    assert "before training: " in said
    assert "after 2 steps: " in said
    assert "uota embed pretrained" in said  # 32 images are few
    assert main(["export", str(folder), "--to=timm", f"--out={tmp_path / 'e.pth'}"]) == 0
    assert main(["export", str(folder), "--to=torchvision", f"--out={tmp_path / 't.pth'}"]) == 2
    assert "torchvision has no network" in capsys.readouterr().err
    assert main(["embed", str(folder), f"--out={tmp_path / 'e.csv'}"]) == 0
    assert main(["embed", "pretrained", f"--data={photos}", f"--out={tmp_path / 'p.csv'}"]) == 0
