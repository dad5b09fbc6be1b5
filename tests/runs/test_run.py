import pytest
import torch

from uota.errors import UotaError
from uota.io.atomic import atomic_write, write_text_atomically
from uota.io.outputs import check_writable, check_writable_folder
from uota.runs.checkpoints import previous_checkpoint
from uota.runs.folder import empty_folder
from uota.runs.run import Run


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new folder" / "result.json"
    write_text_atomically(path, "first")
    with pytest.raises(EOFError):
        fail_half_way(path)
    assert path.read_text() == "first"
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UotaError, match=r"taken/result.json cannot be written.*choose another folder"):
        write_text_atomically(tmp_path / "taken" / "result.json", "")


def test_a_folder_is_no_file_to_write_and_a_file_no_folder_for_a_run(tmp_path):
    with pytest.raises(UotaError, match="is a folder; give the name of a file"):
        write_text_atomically(tmp_path, "")
    (tmp_path / "file").touch()
    with pytest.raises(UotaError, match="is a file; give --out a folder"):
        empty_folder(tmp_path / "file", overwrite=True)


def test_what_cannot_be_written_is_refused_and_what_can_is_left_alone(tmp_path):
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


def saved(path, value):
    weights = torch.full((2000,), value)
    torch.save({"weights": weights, "state_dict": {"weights": weights}, "epoch": 0, "global_step": int(value)}, path)


@pytest.fixture
def run(tmp_path):
    """A run with a last checkpoint and the one before it."""
    run = Run(tmp_path)
    saved(run.checkpoint, 2.0)
    saved(previous_checkpoint(run.checkpoint), 1.0)
    return run


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def test_no_flipped_bit_changes_what_is_loaded(run):
    """Wherever it is: either nothing was there, or the checkpoint before is used."""
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
def test_a_checkpoint_cut_short_is_named_and_the_one_before_it_used(run, capsys, kept):
    whole = run.checkpoint.read_bytes()
    run.checkpoint.write_bytes(whole[: int(kept * len(whole))])
    assert run.state()["global_step"] == 1
    said = capsys.readouterr().err
    assert f"{run.checkpoint} is damaged: " in said
    assert f"using the previous checkpoint, {previous_checkpoint(run.checkpoint)}" in said


def test_a_kill_between_two_names_leaves_the_one_before(run):
    run.checkpoint.unlink()
    assert run.state()["global_step"] == 1


def test_two_damaged_checkpoints_are_both_named(run):
    for path in (run.checkpoint, previous_checkpoint(run.checkpoint)):
        flip(path, 3000)
    with pytest.raises(UotaError, match=r"checkpoint.ckpt is damaged: .*; .*checkpoint.before.ckpt is damaged: .*copy"):
        run.state()
