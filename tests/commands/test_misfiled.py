"""`uota misfiled`."""

import csv
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.membership.made import made

from uota.commands.cli import main
from uota.io.csv_files import write_csv
from uota.membership.foreign import Foreign
from uota.membership.summary import summarise

EYES = "--eyes=thumbnails"


def paint(path, number, light):
    random = torch.Generator().manual_seed(number)
    pattern = torch.rand(3, 3, 3, generator=random).repeat_interleave(8, 0).repeat_interleave(8, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((255 * light * pattern).to(torch.uint8).numpy()).save(os.fsencode(path), "PNG")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write pictures of ten things in two kinds; one of a thing lies with another, and one cannot be read."""
    folder = tmp_path_factory.mktemp("groups")
    for thing in range(10):
        for light in range(4):
            paint(folder / f"kind{thing % 2}" / f"thing{thing}" / f"{light}.png", thing, 0.7 + 0.1 * light)
    paint(folder / "kind0" / "thing0" / "=strange\udcff.png", 5, 0.8)
    (folder / "kind0" / "thing2" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(file):
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_the_files_of_a_folder_are_listed_worst_first(folder, place, capsys):
    assert main(["misfiled", str(folder), EYES, "--groups-table=groups.csv"]) == 0
    rows = listed(place / "misfiled.csv")
    assert len(rows) == 41
    assert list(rows[0]) == ["file", "group", "probability", "fdr", "fits_better", "fits_probability", "nearest_own",
                             "nearest_other"]  # fmt: skip
    assert rows[0]["file"] == "kind0/thing0/=strange\\udcff.png"
    assert (rows[0]["group"], rows[0]["fits_better"]) == ("kind0/thing0", "kind1/thing5")
    assert rows[0]["nearest_other"].startswith("kind1/thing5/")
    probability = [float(row["probability"]) for row in rows]
    assert probability == sorted(probability, reverse=True)
    groups = listed(place / "groups.csv")
    assert (groups[0]["group"], groups[0]["size"]) == ("kind0/thing0", "5")
    assert sum(float(row["expected_wrong"]) for row in groups) == pytest.approx(sum(probability), abs=1e-3)
    said = capsys.readouterr().out
    assert "41 members of 10 groups; estimated share that does not belong:" in said
    assert "score, chosen on members exchanged on purpose: " in said
    assert "kind0/thing0/=strange\\udcff.png  in kind0/thing0, fits kind1/thing5" in said
    assert "broken.png" in said
    assert said.endswith("written: misfiled.csv, misfiled.html, groups.csv\n")


def test_the_same_command_gives_the_same_table(folder, place):
    tables = []
    for name in ("a.csv", "b.csv"):
        assert main(["misfiled", str(folder), EYES, f"--table={name}", "--seed=3"]) == 0
        tables.append((place / name).read_bytes())
    assert tables[0] == tables[1]


def test_a_run_gives_its_pictures_and_its_encoder(folder, place):
    flags = "--arbiter=none --epochs=1 --batch_size=5 --accelerator=cpu --threads=1 --workers=0"
    assert main(["pretrain", f"--data={folder}", "--views=groups", "--out=run", *flags.split()]) == 0
    assert main(["misfiled", "run", "--table=of_run.parquet"]) == 0
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(place / "of_run.parquet")
    assert table.num_rows == 41
    assert set(table["group"].to_pylist()) == {f"kind{thing % 2}/thing{thing}" for thing in range(10)}
    page = (place / "misfiled.html").read_text()
    assert page.count("data:image/webp") == 41
    assert f"uota misfiled {folder}" in page  # which --apply needs, rather than the run


@pytest.fixture
def table(place):
    vectors = np.eye(6)[np.arange(24) // 4] + 0.1 * np.random.default_rng(0).normal(size=(24, 6))
    vectors[3] = vectors[20]
    rows = [[f"=f{row}", f"g{row // 4}", *map(float, vectors[row])] for row in range(24)]
    write_csv(place / "t.csv", [["file", "g", *(f"e{place}" for place in range(6))], *rows])
    return place / "t.csv"


def test_the_rows_of_a_table_are_listed(table, place, capsys):
    assert main(["misfiled", "t.csv", "--group=g", "--embedding=e", "--id=file", "--table=out.csv"]) == 0
    rows = listed(place / "out.csv")
    assert (rows[0]["id"], rows[0]["group"], rows[0]["fits_better"]) == ("'=f3", "g0", "g5")
    assert "guessed" not in capsys.readouterr().out


@pytest.mark.parametrize("export", ["fiftyone=labels.json", "lightly-studio=labels"])
def test_labels_for_other_tools_are_written(folder, place, capsys, export):
    assert main(["misfiled", str(folder), EYES, f"--export={export}"]) == 0
    said = capsys.readouterr().out
    if export.startswith("fiftyone"):
        labels = json.loads((place / "labels.json").read_text())["labels"]
        assert len(labels) == 40  # without the file whose name is not in UTF-8
        assert all(os.path.isfile(path) for path in labels)
        assert said.endswith("written: misfiled.csv, misfiled.html, labels.json\n")
    else:
        assert len(json.loads((place / "labels" / "groups.json").read_text())["annotations"]) == 40
        assert (place / "labels" / "fits_better.json").exists()


REFUSED = [
    (["t.csv", "--out=page.csv"], "page.csv is no .html file; give --out one, and --table the name of a table"),
    (["t.csv", "--export=labels.json"], "--export is labels.json; give fiftyone=FILE.json or lightly-studio=FOLDER"),
    (["t.csv", "--export=fiftyone=t.csv"], "t.csv is read, and would be overwritten"),
    (["t.csv", "--export=lightly-studio=t.csv"], "t.csv is a file"),
    (["t.csv", "--export=fiftyone=x.json"], "--export is for files in a folder, and t.csv has none; leave it out"),
    (["t.csv", "--table=t.csv"], "t.csv is read, and would be overwritten; choose another name"),
    (["t.csv", "--groups-table=../{}/t.csv"], "is read, and would be overwritten"),
    (["v.npy", "--group=t.csv:g", "--table=t.csv"], "t.csv is read, and would be overwritten"),
    (["v.npy", "--group=t.csv:g", "--groups-table=misfiled.csv"], "is given for two outputs"),
    (["t.csv", EYES], "t.csv has embeddings, which need no eyes; leave --eyes and --backbone out"),
    (["t.csv", "--table=out.txt"], "out.txt is neither a .csv nor a .parquet file"),
    (["t.csv", "--group=h"], "--group h is no column of t.csv, which has file, g"),
    (["nowhere"], "there is no folder nowhere"),
    (["nowhere.parquet"], "nowhere.parquet cannot be read: No such file or directory"),
    (["demo"], "demo has no groups"),
    (["things", "--group=label"], "--group label is for tables, and in things each folder is a group"),
    (["t.csv", "--seed=-1"], "seed"),
]


@pytest.mark.parametrize(("arguments", "says"), REFUSED, ids=lambda each: str(each)[:40])
def test_what_cannot_be_done_ends_in_one_sentence(table, place, capsys, arguments, says):
    before = table.read_bytes()
    np.save(place / "v.npy", np.zeros((24, 6)))
    (place / "things").mkdir()
    assert main(["misfiled", *(each.format(place.name) for each in arguments)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert table.read_bytes() == before
    assert not (place / "misfiled.csv").exists()


def test_a_share_that_is_too_large_is_doubted():
    found = made()
    assert not any("so many that" in line for line in summarise(found))
    many = replace(found, members=replace(found.members, share=0.6))
    assert "so many that the embeddings probably cannot tell" in summarise(many)[0]
    few = replace(found, members=replace(found.members, share=0.1, interval=(0.0, 1.0)))
    assert summarise(few)[0].endswith("as members are too few to tell")


def test_members_of_no_group_are_told():
    found = made()
    assert "none of the groups" not in summarise(found)[0]
    members = replace(found.members, choice=replace(found.members.choice, foreign=Foreign(1.0, 0.625)))
    assert "; of these, about 62 % belong to none of the groups" in summarise(replace(found, members=members))[0]
    members = replace(found.members, choice=replace(found.members.choice, foreign=Foreign(0.8, 0.625)))
    assert "none of the groups" not in summarise(replace(found, members=members))[0]


def test_a_list_that_a_person_approved_is_applied(folder, tmp_path, monkeypatch, capsys):
    archive = tmp_path / "archive"
    shutil.copytree(folder, archive)
    moves = tmp_path / "moves.csv"
    moves.write_text("file,to\nkind1/thing1/0.png,kind1/thing5\n")
    assert main(["misfiled", str(archive), f"--apply={moves}"]) == 0
    assert (archive / "kind1/thing1/0.png").exists()
    assert main(["misfiled", str(archive), f"--apply={moves}", "--yes"]) == 0
    assert not (archive / "kind1/thing1/0.png").exists()
    assert main(["misfiled", str(archive), f"--apply={tmp_path / 'moves-undo.csv'}", "--yes"]) == 0
    assert (archive / "kind1/thing1/0.png").exists()
    assert main(["misfiled", str(archive), "--yes"]) == 2
    assert "--yes and --new-groups belong to --apply" in capsys.readouterr().err
