"""Re-filing during a run, on groups of one colour each, some files of which are misfiled."""

import csv
import os
import signal
import sys

import pytest
import torch
from PIL import Image
from tests.processes import run_command

from uota.commands.cli import main
from uota.console import show_messages
from uota.data.open import open_items
from uota.encoders.encoder import Encoder
from uota.errors import UotaError
from uota.membership import refiling
from uota.runs.run import Run
from uota.settings.pretrain import Pretrain
from uota.training.module import Pretraining
from uota.training.pretrain import pretrain
from uota.training.refiling import Refiling
from uota.training.resolve import explain_auto, resolve_auto

THINGS, FILES, MISFILED = 16, 4, 5


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """A folder of things, each of a colour of its own, of which a few pictures lie in the folder of another thing."""
    folder = tmp_path_factory.mktemp("things")
    random = torch.Generator().manual_seed(0)
    colours = torch.randint(0, 256, (THINGS, 3, 1, 1), generator=random)
    for number in range(THINGS * FILES):
        thing = number // FILES
        noise = torch.randint(-20, 20, (3, 36, 36), generator=random)
        pixels = (colours[thing] + noise).clamp(0, 255).to(torch.uint8)
        place = folder / "train" / f"{(thing + (5 if number % 13 == 0 else 0)) % THINGS:02}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(place / f"{thing:02} {number % FILES}.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights of a small network, which tells colours apart."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save(Encoder("tiny", image_size=32).backbone.state_dict(), file)
    return str(file)


@pytest.fixture
def settings(things, weights):
    """Settings of a run that takes seconds, with 4 steps in a pass over the groups."""

    def make(**changes):
        flags = {"data": str(things), "views": "small-groups", "local_views": 0, "method": "simclr", "batch_size": 4}
        flags |= {"init": weights, "backbone": "tiny", "arbiter": "none", "norm_adaptation": 0.0, "steps": 16}
        flags |= {"learning_rate": 1e-5}
        return Pretrain.from_flat(**flags | {"workers": 0, "accelerator": "cpu", "threads": 1} | changes)

    return make


def rows_of(run):
    with run.refiled_file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def groups_of(run):
    return run.state()["callbacks"]["Refiling"]["group"]


def members_of(run):
    """The group of each file, as they were given."""
    source = open_items(run.settings().data.source, "groups")
    return {image: group for group, images in enumerate(source.members) for image in images}


def parameters_of(run):
    return {name: value for name, value in run.state()["state_dict"].items() if torch.is_tensor(value)}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.fixture
def seen(monkeypatch):
    """The files of each step's views, by the number of the group that they are views of."""
    steps, step = [], Pretraining.training_step

    def spying(self, views, batch_index):
        shown = views.parameters.image.T.tolist()
        steps.append({(group, image) for group, images in zip(views.index.tolist(), shown, strict=True)
                      for image in images})  # fmt: skip
        return step(self, views, batch_index)

    monkeypatch.setattr(Pretraining, "training_step", spying)
    return steps


def test_a_run_moves_misfiled_files_and_says_so_in_its_last_line(settings, seen, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(refiling, "LIKELY", 0.1)  # of 64 files, each verdict is in doubt
    with show_messages():
        run = pretrain(settings(steps=32), tmp_path / "run", bar=False)
    rows = rows_of(run)
    assert len(rows) == THINGS * FILES
    moved = [row for row in rows if row["fate"] == "moved"]
    right = [row for row in moved if row["moved_to"] == os.path.basename(row["file"])[:2]]
    assert len(right) >= MISFILED - 2
    assert len(moved) - len(right) <= 1
    kept = [row for row in rows if row["fate"] == "kept"]
    assert len(kept) >= THINGS * FILES - 2 * MISFILED
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("groups after 16 steps: about ")
    assert f"of 64 files do not belong; in training, {len(moved)} are in another group" in last
    assert not run.state()["callbacks"]["Refiling"]["start"]  # nothing that only a verdict needs
    group = groups_of(run)
    later = set().union(*seen[16:])
    assert len(seen) == 32
    assert later <= {(int(group[image]), image) for image in range(len(group))}
    assert later & {(int(group[image]), image) for image in range(len(group)) if group[image] != members_of(run)[image]}


def test_no_file_is_moved_where_that_is_turned_off(settings, seen, tmp_path):
    run = pretrain(settings(refile=False), tmp_path / "run", bar=False, lines=False)
    members = open_items(settings().data.source, "groups").members
    assert all(image in members[group] for step in seen for group, image in step)
    assert not run.refiled_file.exists()
    assert "Refiling" not in run.state()["callbacks"]


@pytest.mark.parametrize("stopped", [2, 8, 9])
def test_a_resumed_run_equals_an_uninterrupted_one(settings, tmp_path, monkeypatch, stopped):
    whole = pretrain(settings(), tmp_path / "whole", bar=False, lines=False)
    step = Pretraining.training_step

    def interrupted(self, views, batch_index):
        if self.global_step == stopped:
            signal.raise_signal(signal.SIGINT)
        return step(self, views, batch_index)

    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "training_step", interrupted)
        with pytest.raises(UotaError, match="--resume"):
            pretrain(settings(), tmp_path / "parts", bar=False, lines=False)
    assert Run(tmp_path / "parts").steps_done() == stopped + 1
    parts = pretrain(settings(), tmp_path / "parts", resume=True, bar=False, lines=False)
    assert torch.equal(groups_of(parts), groups_of(whole))
    assert_same(parameters_of(parts), parameters_of(whole))
    assert rows_of(parts) == rows_of(whole)


def test_processes_that_load_images_follow(settings, tmp_path):
    alone, helped = (
        pretrain(settings(workers=workers), tmp_path / f"{workers}", bar=False, lines=False) for workers in (0, 2)
    )
    assert_same(parameters_of(helped), parameters_of(alone))


def test_two_processes_move_the_same_files(settings, tmp_path):
    same = {"steps": 8, "precision": "64", "refile": True}
    one = pretrain(settings(**same), tmp_path / "one", bar=False, lines=False)
    flags = [f"--{name}={value}" for name, value in settings(**same, devices=2).as_flat().items()
             if value not in (None, {}, []) and name != "compile"]  # fmt: skip
    command = [sys.executable, "-m", "uota", "pretrain", f"--out={tmp_path / 'two'}", *flags]
    done = run_command(command, env=os.environ | {"PYTHONWARNINGS": ""})
    assert done.returncode == 0, done.stderr
    two = Run(tmp_path / "two")
    assert torch.equal(groups_of(two), groups_of(one))
    for name, value in parameters_of(two).items():
        torch.testing.assert_close(value, parameters_of(one)[name], atol=1e-5, rtol=1e-5, msg=name)


def test_files_are_judged_at_the_ends_of_passes_at_a_quarter_and_half_of_a_run(settings, tmp_path):
    from uota.training.refiling import build_refiling, share_members

    def due(epoch_steps, total_steps):
        source = open_items(settings().data.source, "groups")
        (made,) = build_refiling(
            settings(refile=True), source, share_members(source), Run(tmp_path), epoch_steps, total_steps, False
        )
        assert isinstance(made, Refiling)
        return sorted(made.due)

    assert due(4, 16) == [4, 8]
    assert due(7, 60) == [21, 35]
    assert due(7, 13) == [7]
    assert due(10, 12) == [10]
    assert due(100, 60) == []


@pytest.mark.parametrize(
    ("changes", "refile"),
    [
        ({}, True),
        ({"refile": False}, False),
        ({"steps": 15}, False),
        ({"steps": 15, "refile": True}, True),
        ({"init": "random"}, False),
    ],
)
def test_by_default_groups_are_refiled_in_runs_that_show_every_file_twice(settings, changes, refile):
    asked = settings(**changes)
    source = open_items(asked.data.source, asked.views.preset)
    resolved, choices = explain_auto(asked, source)
    assert resolved.data.refile is refile
    assert ("refile" in {choice.name for choice in choices}) == ("refile" not in changes)
    assert resolve_auto(resolved, source) == resolved


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--views=small"], "refile is set, and the images have no groups"),
        (["--views=small-groups", "--init=random"], "refile is set, and init is random"),
    ],
)
def test_what_cannot_be_refiled_is_refused(things, flags, said, tmp_path, capsys):
    assert main(["pretrain", f"--data={things}", "--refile=true", *flags, f"--out={tmp_path / 'run'}"]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
