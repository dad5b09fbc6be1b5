"""The commands that are suggested at the end of a run."""

import shlex
import shutil

import pytest

from uota.commands.cli import main
from uota.commands.next_commands import next_commands
from uota.runs.run import Run

TINY = "--steps=1 --views=small --local_views=1 --batch_size=24 --workers=0 --threads=1 --accelerator=cpu"


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """Train a run for one step; return it and what was printed."""
    monkeypatch.chdir(tmp_path)

    def make(data, *flags):
        assert main(["pretrain", f"--data={data}", *TINY.split(), "--out=run", *flags]) == 0
        return Run(tmp_path / "run"), capsys.readouterr().out

    return make


def test_all_commands_that_a_run_prints_work_on_it(train, pictures):
    run, said = train(pictures)
    commands = [line for line in said.partition("next:\n")[2].splitlines() if line.startswith("  ")]
    assert [line.split()[1:3] for line in commands] == [
        ["inspect", "run"], ["evaluate", "knn"], ["evaluate", "linear"], ["embed", "run"], ["export", "run"]
    ]  # fmt: skip
    assert all(line.startswith("  uota ") for line in commands)
    for line in commands:
        assert main(shlex.split(line)[1:]) == 0, line
    assert {"knn.json", "linear.json"} <= {file.name for file in run.folder.iterdir()}
    assert all((run.folder.parent / file).exists() for file in ("embeddings.csv", "encoder.safetensors"))


def test_what_needs_labels_is_left_out_without_them(train, pictures, tmp_path):
    flat = tmp_path / "flat pictures"
    flat.mkdir()
    for file in sorted(pictures.glob("*/*.png"))[:40]:
        shutil.copy(file, flat)
    run, _ = train(flat, "--arbiter=none")
    assert [line.split()[1] for line in next_commands(run)] == ["inspect", "embed", "export"]


def test_a_network_of_timm_is_exported_to_it(train, pictures):
    _, said = train(pictures, "--backbone=vit_tiny_patch16_224", "--arbiter=none")
    (line,) = (line for line in said.splitlines() if "uota export" in line)
    assert line == "  uota export run --to timm --out encoder.pth"
    assert main(shlex.split(line)[1:]) == 0


def test_folders_are_quoted_for_the_shell(train, pictures, tmp_path):
    run, _ = train(pictures, "--arbiter=none")
    moved = run.folder.rename(tmp_path / "my run")
    assert next_commands(Run(moved))[0] == f"uota inspect '{moved}'"
