"""No untrusted weights, checkpoint or settings can run code."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from uota.commands.cli import main
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain


class Malicious:
    """An object that touches a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return Path.touch, (Path(self.marker),)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "code-was-run"


@pytest.fixture(params=["torch", "plain pickle"])
def weights(request, tmp_path, marker):
    path = tmp_path / "weights.pth"
    if request.param == "torch":
        torch.save({"state_dict": Malicious(marker)}, path)
        assert zipfile.is_zipfile(path)
    else:
        path.write_bytes(pickle.dumps({"state_dict": Malicious(marker)}, protocol=2))
    return path


@pytest.fixture(scope="module")
def small_run(pictures, tmp_path_factory):
    settings = Pretrain.from_flat(
        data=str(pictures), views="small", epochs=1, local_views=0, arbiter="none", workers=0, threads=1
    )
    return pretrain(settings, tmp_path_factory.mktemp("runs") / "run", bar=False, lines=False).folder


def assert_refused(arguments, marker, capsys, says):
    assert main([str(each) for each in arguments]) == 2
    assert not marker.exists()
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


WEIGHT_COMMANDS = [
    ["evaluate", "knn"],
    ["evaluate", "linear-sgd"],
    ["evaluate", "finetune"],
    ["export", "--to=timm"],
    ["embed"],
    ["transfer", "detection", "--coco=nowhere"],
]


@pytest.mark.parametrize("command", WEIGHT_COMMANDS, ids=" ".join)
def test_third_party_weights_run_no_code(command, weights, pictures, marker, tmp_path, capsys):
    data = [] if command[0] in ("export", "transfer") else [f"--data={pictures}"]
    words = [word for word in command if not word.startswith("-")]
    flags = [word for word in command if word.startswith("-")]
    out = tmp_path / ("table.csv" if command[0] == "embed" else "out.pth")
    assert_refused([*words, weights, *flags, *data, f"--out={out}"], marker, capsys, str(weights))


def test_weights_of_a_backbone_run_no_code(weights, pictures, marker, tmp_path, capsys):
    flags = [f"--data={pictures}", "--backbone=resnet18", f"--eyes={weights}", f"--out={tmp_path / 'page.html'}"]
    assert_refused(["inspect", *flags], marker, capsys, str(weights))


@pytest.mark.parametrize(
    "command",
    [["pretrain", "--resume", "--out"], ["evaluate", "knn"], ["inspect"], ["export", "--to=timm", "--out=x"]],
    ids=lambda command: command[0],
)
def test_checkpoints_run_no_code(command, small_run, marker, tmp_path, capsys):
    checkpoint = small_run / "checkpoint.ckpt"
    sound = checkpoint.read_bytes()
    torch.save({"state_dict": Malicious(marker), "epoch": 0}, checkpoint)
    try:
        words = [*command[:-1], f"--out={small_run}"] if command[-1] == "--out" else [*command, small_run]
        assert_refused(words, marker, capsys, str(checkpoint))
    finally:
        checkpoint.write_bytes(sound)


def test_settings_run_no_code(marker, tmp_path, capsys):
    config = tmp_path / "settings.yaml"
    config.write_text(
        f"method: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{marker}]]"
    )
    assert main(["pretrain", f"--config={config}", f"--out={tmp_path / 'run'}"]) == 2
    assert "could not determine a constructor" in capsys.readouterr().err
    assert not marker.exists()


def test_pickle_true_runs_the_code(weights, pictures, marker):
    """Without this, the refusals above would prove nothing."""
    main(["evaluate", "knn", str(weights), f"--data={pictures}", "--pickle=true"])
    assert marker.exists()
