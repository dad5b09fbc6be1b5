"""Runs on shrunk copies: the same whether they are there, and nothing that is trained changes without a word."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from tests.processes import run_command

from uota.commands.cli import main
from uota.data.files import copies as module
from uota.data.open import training_options
from uota.errors import UotaError
from uota.runs.run import Run
from uota.training.pretrain import pretrain
from uota.views import PRESETS, ViewSizePreset


@pytest.fixture
def cached(small, tmp_path):
    """Return a function that makes the settings of a run on copies with a short side of 36 of pictures of 40 pixels."""

    def settings(**changes):
        return small(**{"cache": 36, "cache_in": str(tmp_path / "copies"), "workers": 1} | changes)

    return settings


def weights(run):
    return Run(run.folder).state()["state_dict"]


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items() if torch.is_tensor(value))


def test_a_run_on_made_copies_is_that_on_found_ones(cached, small, tmp_path, capsys):
    cold = pretrain(cached(), tmp_path / "cold", bar=False)
    said = capsys.readouterr().out.replace("\n", " ")
    assert f"images are read shrunk to a short side of 36 pixels, from copies in {tmp_path / 'copies'}: about" in said
    assert "shrunk copies: 0 found, 76 made" in said
    warm = pretrain(cached(), tmp_path / "warm", bar=False)
    assert "shrunk copies: 76 found, 0 made" in capsys.readouterr().out.replace("\n", " ")
    assert same(weights(cold), weights(warm))
    assert Run(warm.folder).settings().data.cache == 36
    plain = pretrain(small(), tmp_path / "plain", bar=False, lines=False)
    assert not same(weights(cold), weights(plain))


def test_two_processes_share_copies_and_equal_one(cached, tmp_path):
    settings = cached(method="simclr", arbiter="none", precision="64", optimizer="sgd", learning_rate=0.05)
    one = pretrain(settings, tmp_path / "one", bar=False, lines=False)
    flat = settings.replace_flat(devices=2, cache_in=str(tmp_path / "others")).as_flat()
    flags = [f"--{name}={value}" for name, value in flat.items() if value not in (None, {}, []) and name != "compile"]
    command = [sys.executable, "-m", "uota", "pretrain", f"--out={tmp_path / 'two'}", *flags]
    done = run_command(command, env=os.environ | {"PYTHONWARNINGS": ""})
    assert done.returncode == 0, done.stderr
    ours, theirs = weights(one), Run(tmp_path / "two").state()["state_dict"]
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, atol=1e-6, rtol=1e-6)
    copies = [sorted(path.relative_to(tmp_path / each) for path in (tmp_path / each).rglob("*.jpg"))
              for each in ("copies", "others")]  # fmt: skip
    assert copies[0] == copies[1] != []


def test_copies_in_memory_are_gone_at_the_end(cached, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "MEMORY", tmp_path)
    monkeypatch.setattr(module, "RESERVE", 0)
    pretrain(cached(cache_in="ram", workers=0), tmp_path / "run", bar=False)
    assert "0 found, 76 made" in capsys.readouterr().out.replace("\n", " ")
    assert not list(tmp_path.glob("uota-*"))


def test_the_folder_is_named_from_everywhere_and_read_again(cached, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = pretrain(cached(cache_in="here"), tmp_path / "run", bar=False, lines=False)
    assert Run(run.folder).settings().data.cache_in == str(tmp_path / "here")
    assert training_options(Run(run.folder).settings()).copies.folder == tmp_path / "here"


def test_what_cannot_be_shrunk_is_refused(small, tmp_path):
    for settings, says in (
        (small(cache=20), "cache is 20, and even the largest crops need images of 32 pixels; set it to 32 or more"),
        (small(data="demo-scenes", views="auto", cache=64), "the images of demo-scenes are in memory; leave it out"),
    ):
        with pytest.raises(UotaError, match=says):
            pretrain(settings, tmp_path / "run", bar=False)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UotaError, match="cache_in is set and cache is not; give cache the side"):
        small(cache_in="somewhere")


def test_softer_crops_are_named(cached, small, tmp_path, capsys):
    pretrain(cached(), tmp_path / "run", bar=False)
    said = capsys.readouterr().out.replace("\n", " ")
    assert "the smallest crops of the shrunk images have fewer pixels than their views; cache 71 has enough" in said


@pytest.mark.parametrize("name", [name for name in PRESETS if PRESETS[name].sizes[0].crop_like == "torchvision"])
def test_images_of_the_needed_side_have_enough_pixels_for_every_crop(name):
    for view_size in PRESETS[name].sizes:
        side = view_size.image_side(view_size.scale[0])
        assert area(view_size, side, view_size.scale[0]) >= view_size.size**2
        assert area(view_size, side - 1, view_size.scale[0]) < view_size.size**2


def area(view_size: ViewSizePreset, side: int, share: float) -> float:
    """Pixels of a cell of the smallest crop of a square image; a crop has 1 + (g - 1) (1 - overlap) cells in a row."""
    cells = 1 if not view_size.grid else view_size.grid - (view_size.grid - 1) * view_size.overlap
    return share * side**2 / cells**2


def test_copies_are_not_put_among_the_images_or_into_the_run(cached, tmp_path):
    settings = cached()
    inside = str(tmp_path / "run/copies")
    with pytest.raises(UotaError, match=r"within the folder of the run, .* choose a folder elsewhere"):
        pretrain(settings.replace_flat(cache_in=inside), tmp_path / "run", bar=False, lines=False)
    assert not (tmp_path / "run").exists()
    among = str(Path(settings.data.source) / "copies")
    with pytest.raises(UotaError, match=r"within the folder of the images, .* choose a folder elsewhere"):
        pretrain(settings.replace_flat(cache_in=among), tmp_path / "run", bar=False, lines=False)
    assert not Path(among).exists()


def test_a_run_is_resumed_with_copies_in_another_place(cached, tmp_path):
    settings, out = cached(epochs=1), tmp_path / "run"
    pretrain(settings, out, bar=False, lines=False)
    scratch = tmp_path / "copies"
    shutil.rmtree(scratch)
    scratch.write_text("a file")
    assert main(["pretrain", f"--out={out}", "--resume"]) == 2
    assert main(["pretrain", f"--out={out}", "--resume", "--cache=36", f"--cache-in={tmp_path / 'other'}"]) == 0
