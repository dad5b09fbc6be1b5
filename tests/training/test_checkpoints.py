"""Runs whose last checkpoint is damaged, or that were killed before the first, resume and end with equal weights."""

import shutil

import pytest
import torch

from uota.runs.checkpoints import find_damage, previous_checkpoint
from uota.runs.run import Run
from uota.training.pretrain import pretrain


@pytest.fixture
def settings(small):
    return small(epochs=3, checkpoint_every=4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a function that copies the folder of one finished run, which is trained once."""
    kept = tmp_path_factory.mktemp("finished") / "run"

    def copied(settings, folder):
        if not kept.exists():
            pretrain(settings, kept, bar=False, lines=False)
        return Run(shutil.copytree(kept, folder))

    return copied


@pytest.fixture
def run(finished, settings, tmp_path):
    """A finished run, which a test may damage."""
    return finished(settings, tmp_path / "run")


@pytest.fixture
def resumed(run, settings):
    """Damage a finished run's folder and resume the run; return the weights and the expected ones."""

    def make(damage):
        expected = run.state()["state_dict"]
        damage(run)
        return pretrain(settings, run.folder, resume=True, bar=False, lines=False).state()["state_dict"], expected

    return make


def flip_the_last(run: Run):
    content = bytearray(run.checkpoint.read_bytes())
    content[len(content) // 2] ^= 0xFF
    run.checkpoint.unlink()  # the loaded checkpoint is memory-mapped, so the file must not change in place
    run.checkpoint.write_bytes(content)


def remove_all(run: Run):
    run.checkpoint.unlink()
    previous_checkpoint(run.checkpoint).unlink()


@pytest.mark.parametrize(
    ("damage", "says"), [(flip_the_last, "checkpoint.ckpt is damaged"), (remove_all, "has no checkpoint yet")]
)
def test_it_resumes_and_ends_with_equal_weights(resumed, capsys, damage, says):
    found, expected = resumed(damage)
    assert says in capsys.readouterr().err
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(found[name], value), name


def test_a_damaged_checkpoint_never_becomes_the_previous_one(run, settings):
    flip_the_last(run)
    pretrain(settings, run.folder, resume=True, bar=False, lines=False)
    for path in (run.checkpoint, previous_checkpoint(run.checkpoint)):
        assert find_damage(path) is None


def test_no_unfinished_files_are_left(small, tmp_path):
    run = pretrain(small(), tmp_path / "run", bar=False, lines=False)
    assert {path.name for path in run.folder.iterdir()} == {
        ".uota.lock",
        "data.json",
        "settings.json",
        "baseline.json",
        "checkpoint.ckpt",
        "logs",
    }
