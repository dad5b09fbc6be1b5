"""The command `uota evaluate`, on runs and on third-party weights."""

import csv
import json
import sys

import pytest
import torch
import torchvision
from PIL import Image
from tests.processes import free_ports, run_command

from uota.commands.cli import main
from uota.encoders.encoder import Encoder
from uota.errors import UotaError
from uota.evaluation.evaluate import PROTOCOLS
from uota.runs.encoder import load_encoder
from uota.settings.evaluation import SETTINGS, EncoderSpec
from uota.settings.linear_protocols import LINEAR_PROTOCOLS

QUICK = {
    "linear": [],
    "knn": [],
    "linear-sgd": ["--epochs=2", "--workers=0", "--accelerator=cpu"],
    "finetune": ["--labels=100%", "--epochs=1", "--workers=0", "--accelerator=cpu"],
}
RESULT = {"linear": "linear", "knn": "knn", "linear-sgd": "linear-sgd", "finetune": "finetune-100"}


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """A folder of forty pictures of 40 × 40 pixels in two classes, red and blue."""
    folder = tmp_path_factory.mktemp("coloured")
    for number in range(40):
        colour = [(200, 5 * number, 0), (0, 5 * number, 200)][number % 2]
        place = folder / ("red", "blue")[number % 2] / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 40), colour).save(place)
    return folder


@pytest.fixture(scope="module")
def runs(coloured, tmp_path_factory):
    """Runs of the baselines random and supervised."""
    folder = tmp_path_factory.mktemp("runs")
    flags = "--epochs=1 --batch_size=16 --views=small --accelerator=cpu --threads=1 --workers=0"
    for method in ("random", "supervised"):
        arguments = [f"--data={coloured}", f"--method={method}", "--arbiter=none", f"--out={folder / method}"]
        assert main(["pretrain", *arguments, *flags.split()]) == 0
    return folder


def test_every_protocol_has_settings():
    assert list(PROTOCOLS) == list(SETTINGS) == list(QUICK)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("method", ["random", "supervised"])
def test_every_protocol_evaluates_the_baselines(protocol, method, runs, capsys):
    run = runs / method
    assert main(["evaluate", protocol, str(run), *QUICK[protocol]]) == 0
    written = json.loads((run / f"{RESULT[protocol]}.json").read_text())
    assert (written["protocol"], written["epochs"], written["backbone"]) == (protocol, 1, "tiny")
    assert 0 <= written["top1"] <= written["top5"] == 100
    assert f"top1 {written['top1']:.4g}" in capsys.readouterr().out
    if protocol in ("linear", "knn"):
        assert written["top1"] > 90


@pytest.mark.parametrize(
    ("flags", "name", "changed"),
    [
        (["--protocol=moco", "--epochs=5"], "moco", {"epochs": 5}),
        (["--protocol=simsiam", "--epochs=3", "--batch_size=16"], "simsiam", {"epochs": 3, "batch_size": 16}),
        (["--epochs=2", "--learning_rate=0.5"], "swav", {"epochs": 2, "learning_rate": 0.5}),
    ],
)
def test_the_result_names_the_protocol_and_its_effective_values(flags, name, changed, runs, coloured, tmp_path, capsys):
    out, quick = tmp_path / "out", ["--workers=0", "--accelerator=cpu"]
    assert main(["evaluate", "linear-sgd", str(runs / "random"), f"--out={out}", *quick, *flags]) == 0
    said = capsys.readouterr().out
    assert f"linear evaluation by the protocol {name} (" in said
    assert f'linear_protocol "{name}"' in said
    written = json.loads((out / "linear-sgd.json").read_text())
    published = LINEAR_PROTOCOLS[name].as_dict()
    assert written["effective"] == published | changed
    assert written["learning_rate"] == (published | changed)["learning_rate"]
    assert written["settings"]["protocol"] == name
    given = {key: value for key, value in written["settings"].items() if key in published and value is not None}
    assert given == changed  # values that were not set are the protocol's
    assert 0 <= written["top1"] <= written["top5"] == 100


@pytest.mark.parametrize("protocol", ["knn", "linear-sgd"])
def test_third_party_weights_are_evaluated(protocol, coloured, tmp_path, capsys):
    file = tmp_path / "moco.pth"
    state = {f"module.encoder_q.{key}": value for key, value in torchvision.models.resnet18().state_dict().items()}
    torch.save({"arch": "resnet18", "state_dict": state}, file)
    flags = ["--epochs=1", "--workers=0", "--accelerator=cpu"] if protocol == "linear-sgd" else []
    out = tmp_path / "out"
    assert main(["evaluate", protocol, str(file), f"--data={coloured}", f"--out={out}", *flags]) == 0
    said = capsys.readouterr().out
    assert "as resnet18: 120 tensors below 'module.encoder_q.' loaded, 2 not needed: module.encoder_q.fc.weight" in said
    written = json.loads((out / f"{protocol}.json").read_text())
    assert (written["encoder"], written["backbone"], written["epochs"]) == (str(file), "resnet18", None)


def test_a_checkpoint_is_evaluated_like_its_run(runs):
    given = load_encoder(EncoderSpec(str(runs / "random")))
    read = load_encoder(EncoderSpec(str(runs / "random" / "checkpoint.ckpt")))
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(given.encoder(images), read.encoder(images))
    assert given.preset.evaluation_size == read.preset.evaluation_size


def test_a_timm_model_has_its_published_weights_statistics_and_size(monkeypatch):
    import timm

    asked, create = [], timm.create_model

    def offline(name, pretrained, **options):
        asked.append((name, pretrained))
        return create(name, **options)

    monkeypatch.setattr("uota.encoders.encoder.timm.create_model", offline)
    found = load_encoder(EncoderSpec("vit_tiny_patch16_224"))
    assert asked == [("vit_tiny_patch16_224", True)]
    assert (found.preset.mean, found.preset.evaluation_size) == ((0.5, 0.5, 0.5), 224)
    assert found.preset.evaluation_resize == 249  # 224 / 0.9, as published
    monkeypatch.setattr("uota.encoders.encoder.timm.create_model", raises_offline)
    with pytest.raises(UotaError, match="check the network connection"):
        load_encoder(EncoderSpec("resnet18"))


def raises_offline(*_, **__):
    raise OSError("no route to host")


@pytest.fixture
def grey_file(tmp_path):
    file = tmp_path / "grey.pth"
    torch.save(Encoder("resnet18", 1, 224).backbone.state_dict(), file)
    return str(file)


def test_mistakes_are_reported_in_one_sentence_with_exit_status_2(runs, coloured, grey_file, tmp_path, capsys):
    run, data, out = str(runs / "random"), f"--data={coloured}", f"--out={tmp_path / 'out'}"
    (tmp_path / "flat").mkdir()
    for number in range(3):
        Image.new("RGB", (40, 40), (9 * number, 0, 0)).save(tmp_path / "flat" / f"{number}.png")
    for arguments, says in [
        (["knn", "nowhere"], "nowhere is not the folder of a run, not a file of weights and not the name of a timm"),
        (["knn", run, "--backbone=resnet18"], "has its own backbone"),
        (["knn", run, f"--data={tmp_path / 'flat'}"], "has no labels"),
        (["linear-sgd", run, f"--data={tmp_path / 'flat'}"], "has no labels"),
        (["knn", run, "--data=demo"], "images of 1 channel"),
        (["knn", f"{run}/checkpoint.ckpt"], "a folder with --out"),
        (["knn", grey_file, data, out], "choose one with --views"),
        (["knn", grey_file, data, out, "--views=supervised"], "does not fit resnet18: conv1.weight"),
        (["knn", f"{run}/checkpoint.ckpt", data, out, "--backbone=nope"], "no backbone 'nope'"),
        (["finetune", run, "--epochs=0"], "epochs is 0"),
        (["linear-sgd", run, "--protocol=mocov9"], "--protocol is mocov9; choose one of auto, swav, uota, moco, jcl, "),
        (["linear-sgd", run, "--protocol=moco", "--devices=3"], "batch_size 256 is no multiple of devices 3"),
        (["linear-sgd", run, "--accelerator=abacus"], "there is no accelerator 'abacus'; choose one of auto"),
    ]:
        assert main(["evaluate", *arguments]) == 2, arguments
        errors = capsys.readouterr().err
        assert says in errors
        assert "Traceback" not in errors


def test_two_processes_equal_one(pictures, tmp_path):
    """The losses of all steps and the accuracies agree; torchrun starts the two.

    The learning rate is low, since batch norms of one and two processes round differently in 32 bits, which a higher
    rate of the encoder would amplify.
    """
    torch.manual_seed(0)
    torch.save(Encoder("tiny", 3, 32).backbone.state_dict(), tmp_path / "tiny.pth")

    def trained(devices):
        out = tmp_path / str(devices)
        arguments = [f"--data={pictures}", f"--out={out}", "--accelerator=cpu", "--workers=0"]
        arguments += ["--epochs=2", "--batch_size=24", "--learning_rate=0.01", "--labels=100%"]
        command = ["evaluate", "finetune", str(tmp_path / "tiny.pth"), *arguments]
        if devices == 1:
            assert main(command) == 0
        else:
            torchrun = ["torch.distributed.run", f"--nproc-per-node={devices}", f"--master-port={free_ports(1)[0]}"]
            done = run_command([sys.executable, "-m", *torchrun, "-m", "uota", *command])
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("top1") == 1
        (file,) = out.glob("*.json")
        (log,) = out.glob("*/logs/*/metrics.csv")
        losses = [row["loss"] for row in csv.DictReader(log.read_text().splitlines())]
        return json.loads(file.read_text()), [float(loss) for loss in losses if loss]

    (one, losses), (two, losses_of_two) = trained(1), trained(2)
    assert one["settings"] | {"devices": 2} == two["settings"]
    assert (one["top1"], one["top5"]) == (two["top1"], two["top5"])
    assert losses_of_two == pytest.approx(losses, rel=1e-3)
