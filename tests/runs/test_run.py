import pytest
import torch

from uota.errors import UotaError
from uota.io.atomic import atomic_write, write_text_atomically
from uota.io.outputs import check_writable, check_writable_folder
from uota.runs.checkpoints import previous_checkpoint
from uota.runs.folder import empty_folder
from uota.runs.run import Run


def test_a_file_is_renamed_only_when_it_is_complete(tmp_path):
    path = tmp_path / "new folder" / "result.json"
    write_text_atomically(path, "first")
    with pytest.raises(EOFError):
        fail_half_way(path)
    assert path.read_text() == "first"
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_an_unwritable_path_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UotaError, match=r"taken/result.json cannot be written.*choose another folder"):
        write_text_atomically(tmp_path / "taken" / "result.json", "")


def test_a_folder_is_not_overwritten_by_a_file_nor_a_file_by_a_run(tmp_path):
    with pytest.raises(UotaError, match="is a folder; give the name of a file"):
        write_text_atomically(tmp_path, "")
    (tmp_path / "file").touch()
    with pytest.raises(UotaError, match="is a file; give --out a folder"):
        empty_folder(tmp_path / "file", overwrite=True)


def test_checking_a_path_changes_nothing_and_refuses_unwritable_ones(tmp_path):
    (tmp_path / "there").write_text("before")
    check_writable(tmp_path / "there", tmp_path / "new" / "file")
    check_writable_folder(tmp_path / "new" / "folder")
    assert (tmp_path / "there").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    with pytest.raises(UotaError, match="cannot be written"):
        check_writable(tmp_path / "there" / "file")


def fail_half_way(path):
    with atomic_write(path) as unfinished:
        unfinished.write_text("half")
        assert path.read_text() == "first"
        raise EOFError


def save(path, value):
    weights = torch.full((2000,), value)
    torch.save({"weights": weights, "state_dict": {"weights": weights}, "epoch": 0, "global_step": int(value)}, path)


@pytest.fixture
def run(tmp_path):
    """A run with a last and a previous checkpoint."""
    run = Run(tmp_path)
    save(run.checkpoint, 2.0)
    save(previous_checkpoint(run.checkpoint), 1.0)
    return run


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def test_no_flipped_bit_changes_what_is_loaded(run):
    """Wherever the bit is, either it is in padding, or the previous checkpoint is used."""
    whole = run.checkpoint.read_bytes()
    places = torch.randint(len(whole), (300,), generator=torch.Generator().manual_seed(0)).tolist()
    used = {1: 0, 2: 0}
    for place in places:
        run.checkpoint.unlink()
        run.checkpoint.write_bytes(whole)
        flip(run.checkpoint, place)
        state = run.state()
        assert state["weights"].unique().tolist() == [state["global_step"]]
        used[state["global_step"]] += 1
    assert used[1] > 250


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_truncated_checkpoint_is_named_and_the_previous_one_used(run, capsys, kept):
    whole = run.checkpoint.read_bytes()
    run.checkpoint.write_bytes(whole[: int(kept * len(whole))])
    assert run.state()["global_step"] == 1
    said = capsys.readouterr().err
    assert f"{run.checkpoint} is damaged: " in said
    assert f"using the previous checkpoint, {previous_checkpoint(run.checkpoint)}" in said


def test_a_kill_between_the_two_renamings_leaves_the_previous_checkpoint(run):
    run.checkpoint.unlink()
    assert run.state()["global_step"] == 1


def test_two_damaged_checkpoints_are_both_named(run):
    for path in (run.checkpoint, previous_checkpoint(run.checkpoint)):
        flip(path, 3000)
    with pytest.raises(UotaError, match=r"checkpoint.ckpt is damaged: .*; .*checkpoint.before.ckpt is damaged: .*copy"):
        run.state()
