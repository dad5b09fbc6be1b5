"""Commands under torchrun: its environment is all that they are given, and several processes write what one writes."""

import json
import shutil

import pytest
import torch
from tests.processes import run_commands_on_ranks

from uota.commands.cli import main
from uota.evaluation import embed, features
from uota.inspection import input as inspected
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

# So few images in a batch that each of four processes has some.
BATCH = 12


def set_batches():
    for module in (embed, features, inspected):
        module.BATCH = BATCH


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    with pytest.MonkeyPatch.context() as patch:
        for module in (embed, features, inspected):
            patch.setattr(module, "BATCH", BATCH)
        yield


@pytest.fixture(scope="module")
def damaged(pictures, tmp_path_factory):
    """The pictures, of which one cannot be read, not by the first process."""
    folder = tmp_path_factory.mktemp("damaged") / "pictures"
    shutil.copytree(pictures, folder)
    broken = folder / "class0" / "036.png"
    broken.write_bytes(broken.read_bytes()[:90])
    return folder


@pytest.fixture(scope="module")
def run(damaged, tmp_path_factory):
    few = {"views": "small", "local_views": 1, "workers": 0, "epochs": 1, "batch_size": 24, "accelerator": "cpu"}
    settings = Pretrain.from_flat(data=str(damaged), method="moco_v2", arbiter="two_groups", threads=1, **few)
    return pretrain(settings, tmp_path_factory.mktemp("runs") / "run", bar=False, lines=False).folder


def embedding(run, out):
    return ["embed", str(run), f"--out={out}/table.csv"]


def commands(run, damaged, out):
    return [
        embedding(run, out),
        ["evaluate", "knn", str(run), f"--out={out}"],
        ["evaluate", "linear", str(run), f"--out={out}"],
        ["inspect", str(damaged), f"--out={out}/page.html", f"--table={out}/views.csv", "--eyes=thumbnails"],
        ["inspect", str(run), f"--out={out}/run.html", f"--table={out}/of-run.csv", "--eyes=thumbnails", "--steps=0"],
    ]


@pytest.fixture(scope="module")
def one(run, damaged, tmp_path_factory):
    """What one process writes."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("one")
    for command in commands(run, damaged, out):
        assert main(command) == 0
    return out


def assert_same_files(found, expected, names):
    for name in names:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name


def test_two_processes_write_the_same(one, run, damaged, tmp_path):
    run_commands_on_ranks(commands(run, damaged, tmp_path), ranks=2, prepare=set_batches)
    assert_same_files(tmp_path, one, ["table.csv", "views.csv", "of-run.csv", "page.html", "run.html"])
    for protocol in ("knn", "linear"):
        found, expected = (json.loads((folder / f"{protocol}.json").read_text()) for folder in (tmp_path, one))
        assert found == expected
    assert "036.png" not in (tmp_path / "table.csv").read_text()


def test_four_processes_write_the_same_embeddings(one, run, tmp_path):
    run_commands_on_ranks([embedding(run, tmp_path)], ranks=4, prepare=set_batches)
    assert_same_files(tmp_path, one, ["table.csv"])
