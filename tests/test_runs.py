import pytest

from uota.errors import UotaError
from uota.runs import whole_file, write_atomically


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new folder" / "result.json"
    write_atomically(path, "first")
    with pytest.raises(EOFError):
        fail_half_way(path)
    assert path.read_text() == "first"
    assert [file.name for file in path.parent.iterdir()] == ["result.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UotaError, match=r"taken/result.json cannot be written.*choose another folder"):
        write_atomically(tmp_path / "taken" / "result.json", "")


def fail_half_way(path):
    with whole_file(path) as unfinished:
        unfinished.write_text("half")
        assert path.read_text() == "first"
        raise EOFError
