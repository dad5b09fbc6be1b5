"""The demo in a tiny form."""

import csv
import json

import pytest
from PIL import Image

from uota.data import open_groups
from uota.demo.archive import archive_in, is_misfiled, studio_of, thing_of, write_archive
from uota.demo.length import Length
from uota.demo.run import BEFORE, KNOWING, WITH, WITHOUT, run_demo
from uota.demo.training import Job, train_side_by_side
from uota.errors import UotaError
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

THINGS = 12


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    archive = archive_in(tmp_path_factory.mktemp("demo"))
    write_archive(archive, 0.1, seed=1, things=THINGS)
    return archive


def test_a_tenth_of_the_drawings_is_misfiled(archive):
    files = sorted((archive.drawings / "train").rglob("*.png"))
    wrong = [file for file in files if is_misfiled(file)]
    assert (len(files), len(wrong)) == (3 * THINGS, 4)
    truth = json.loads(archive.truth.read_text())["misfiled"]
    assert truth == {file.stem: file.parent.name for file in wrong}
    assert not any(map(is_misfiled, (archive.drawings / "test").rglob("*.png")))
    assert {studio_of(file) for file in files} == {"Noto", "Twemoji", "Fluent"}
    assert thing_of(files[0]) in files[0].name


def test_the_known_part_has_all_drawings_that_are_not_misfiled(archive):
    right = {file.name for file in (archive.drawings / "train").rglob("*.png") if not is_misfiled(file)}
    known = list((archive.known / "train").rglob("*.png"))
    alone = right - {file.name for file in known}
    assert {file.name for file in known} <= right
    for name in alone:
        thing = name.rpartition(" (")[0]
        assert sum(other.startswith(f"{thing} (") for other in right) == 1
    assert {len(group) for group in open_groups(archive.known / "train", "all").members} <= {2, 3}


def test_another_seed_replaces_the_archive(tmp_path):
    archive = archive_in(tmp_path)
    for seed in (1, 2):
        write_archive(archive, 0.2, seed, things=10)
    assert len(list((archive.drawings / "train").rglob("*.png"))) == 30
    assert sum(map(is_misfiled, archive.drawings.rglob("*.png"))) == 6


def test_folders_of_others_are_not_replaced(tmp_path):
    archive = archive_in(tmp_path)
    archive.drawings.mkdir()
    (archive.drawings / "mine.png").touch()
    with pytest.raises(UotaError, match="is not of an earlier demo"):
        write_archive(archive, 0.1, seed=1, things=10)
    assert (archive.drawings / "mine.png").exists()


def test_the_whole_demo(tmp_path, monkeypatch, capsys):
    # Processes of their own, which cost seconds to start, have a test below.
    def one_after_the_other(jobs, measure):
        return [measure(pretrain(job.settings, job.out, bar=False, lines=job.lines).folder) for job in jobs]

    monkeypatch.setattr("uota.demo.run.train_side_by_side", one_after_the_other)
    found = run_demo(tmp_path, seed=1, length=Length(steps=2, batch_size=4, things=THINGS))

    assert json.loads((tmp_path / "demo.json").read_text()) == found
    assert list(found["encoders"]) == [BEFORE, WITHOUT, WITH, KNOWING]
    before, without = found["encoders"][BEFORE], found["encoders"][WITHOUT]
    assert found["precision"]["uota"] == before["precision"]
    assert before["retrieval"] > 60  # by chance 4
    assert without != before
    with (tmp_path / "misfiled.csv").open() as opened:
        assert len(list(csv.DictReader(opened))) == 3 * THINGS
    with Image.open(tmp_path / "misfiled.png") as picture:
        assert min(picture.size) > 500
    assert "uota misfiled" in (tmp_path / "misfiled.html").read_text()
    assert "average precision" in capsys.readouterr().out


def test_a_run_that_fails_is_reported(tmp_path, capfd):
    job = Job(Pretrain.from_flat(data=str(tmp_path / "missing"), views="groups"), tmp_path / "run", lines=False)
    with pytest.raises(UotaError, match="runs failed; its message is above"):
        train_side_by_side([job], len)
    assert "there is no folder" in capfd.readouterr().err
