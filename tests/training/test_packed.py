"""Training on tar shards and saved data sets: every image once per epoch, and exact resuming."""

import csv
import os
import sys
import tarfile
from types import SimpleNamespace

import pytest
import torch
from tests.processes import run_command
from tests.training.stopping import whole_and_resumed

from uota.commands.cli import main
from uota.data import open_source
from uota.data.packed.shards import Shards
from uota.training.baseline import Baseline
from uota.training.batches import ViewsOfRank
from uota.training.pretrain import pretrain
from uota.views import PRESETS, ViewDataset, ViewPipeline


@pytest.fixture(scope="session")
def shards(pictures, tmp_path_factory):
    """The pictures in 20 shards: 72 for training, 4 in each of 18, and 24 for testing in the other two."""
    folder = tmp_path_factory.mktemp("shards")
    for number, picture in enumerate(sorted(pictures.rglob("*.png"), key=lambda path: path.name)):
        name = f"train-{number // 4:03}.tar" if number < 72 else f"test-{number % 2:03}.tar"
        with tarfile.open(folder / name, "a") as tar:
            tar.add(picture, picture.name)
            label = folder / "label"
            label.write_text(picture.parent.name[-1])
            tar.add(label, f"{picture.stem}.cls")
            label.unlink()
    return folder


@pytest.fixture(scope="session")
def saved(pictures, tmp_path_factory):
    """The same pictures as a saved data set of the library datasets."""
    datasets = pytest.importorskip("datasets", reason="needs the extra `datasets`")
    files = sorted(pictures.rglob("*.png"), key=lambda path: path.name)
    columns = {"image": [str(file) for file in files], "label": [int(file.parent.name[-1]) for file in files]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["zero", "one"])})
    table = datasets.Dataset.from_dict(columns, features)
    folder = tmp_path_factory.mktemp("saved") / "set"
    parts = {"train": table.select(range(72)), "test": table.select(range(72, 96))}
    datasets.DatasetDict(parts).save_to_disk(folder)
    return folder


@pytest.fixture(params=["shards", "saved"])
def packed(request):
    return request.getfixturevalue(request.param)


def seen_by(rank, source, settings, step=0):
    """Indices of the batches of a rank with two workers, from a step to the end of its epoch."""
    data = ViewsOfRank(settings, ViewDataset(source, ViewPipeline(PRESETS["small"])), False, source.parts)
    on_cpu = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(global_rank=rank, world_size=2, global_step=step, strategy=on_cpu)
    return [views.index for views in data.train_dataloader()]


def test_two_ranks_of_two_workers_see_every_image_once(packed):
    source = open_source(packed)
    settings = SimpleNamespace(batch_size=24, seed=0, workers=2)
    ranks = [seen_by(rank, source, settings) for rank in (0, 1)]
    assert [len(batch) for batches in ranks for batch in batches] == [12] * 6
    seen = torch.cat([batch for batches in ranks for batch in batches])
    assert seen.sort().values.tolist() == list(range(72))
    for rank in (0, 1):
        later = seen_by(rank, source, settings, step=1)
        assert all(torch.equal(one, other) for one, other in zip(later, ranks[rank][1:], strict=True))


def test_training_reads_16_shards_at_a_time(shards, small, tmp_path, monkeypatch):
    read, shards_read = Shards.read, []

    def recorded(files, index):
        shards_read.append(int(files.which[index]))
        return read(files, index)

    monkeypatch.setattr(Shards, "read", recorded)
    monkeypatch.setattr(Baseline, "on_train_end", lambda *_: None)  # it reads some images once more
    pretrain(small(data=str(shards), epochs=1, batch_size=8, workers=0), tmp_path / "run", bar=False, lines=False)
    epoch = shards_read[-72:]
    assert len(set(epoch)) == 18
    assert len(set(epoch[:64])) == 16


def test_interrupted_within_an_epoch_and_resumed_equals_uninterrupted(packed, small, tmp_path):
    settings = small(data=str(packed), epochs=3, workers=2)
    one, other = whole_and_resumed(settings, tmp_path)
    for key, value in one["state_dict"].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other["state_dict"][key]), key


def losses(run):
    (log,) = (run / "logs").glob("*/metrics.csv")
    return [float(row["step_loss"]) for row in csv.DictReader(log.read_text().splitlines()) if row["step_loss"]]


def test_two_processes_of_two_workers_equal_one(shards, small, tmp_path):
    """Over several epochs, on more shards than are read at a time; see the test in test_pretrain for why 64 bits."""
    same = {"data": str(shards), "method": "simclr", "arbiter": "none", "epochs": 2, "precision": "64"}
    same |= {"optimizer": "sgd", "learning_rate": 0.05}
    one = pretrain(small(**same), tmp_path / "one", bar=False, lines=False)
    flags = [f"--{name}={value}" for name, value in small(**same, devices=2).as_flat().items()
             if value not in (None, {}, []) and name not in ("compile", "workers")]  # fmt: skip
    command = [sys.executable, "-m", "uota", "pretrain", f"--out={tmp_path / 'two'}", *flags, "--workers=2"]
    done = run_command(command, env=os.environ | {"PYTHONWARNINGS": ""})
    assert done.returncode == 0, done.stderr
    assert len(losses(one.folder)) == 6
    assert losses(tmp_path / "two") == pytest.approx(losses(one.folder), abs=1e-6)


def test_a_run_on_packed_images_is_evaluated_embedded_and_inspected(packed, small, tmp_path, capsys):
    run = pretrain(small(data=str(packed)), tmp_path / "run", bar=False, lines=False).folder
    assert main(["evaluate", "knn", str(run)]) == 0
    assert main(["embed", str(run), "--out", str(tmp_path / "table.csv")]) == 0
    table = tmp_path / "views.csv"
    assert main(["inspect", str(run), "--out", str(tmp_path / "views.png"), "--table", str(table)]) == 0
    assert "top1" in capsys.readouterr().out
    assert (tmp_path / "views.png").exists()
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [row["split"] for row in rows] == ["train"] * 72 + ["test"] * 24
    source = open_source(packed)
    assert [row["image"] for row in rows[:72]] == [str(source.path(index)) for index in range(72)]
    assert [int(row["label"]) for row in rows[:72]] == source.labels.tolist()
    judged = {row["image"] for row in csv.DictReader(table.read_text().splitlines())}
    assert judged <= {row["image"] for row in rows}
