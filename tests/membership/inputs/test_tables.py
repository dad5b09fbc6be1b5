"""Tables of every format are the same members, and what they lack is named."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import feather, parquet

from uota.errors import UotaError
from uota.membership.inputs import arrow_files, csv_tables, storage
from uota.membership.inputs.columns import Wanted
from uota.membership.inputs.tables import open_table, read_members


def lists(vectors, kind=None):
    return pa.array(list(vectors), kind or pa.list_(pa.float32(), vectors.shape[1]))


def as_columns(rows, vectors=None):
    given, groups, ids = rows
    return {"file": ids, "product": groups, "vector": lists(given) if vectors is None else vectors}


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_stream(path, table):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=5)


FORMATS = {
    "Parquet": ("t.parquet", lambda path, table: parquet.write_table(table, path, row_group_size=7)),
    "Feather": ("t.feather", lambda path, table: feather.write_feather(table, path)),
    "a stream": ("t.arrow", lambda path, table: write_stream(path, table)),
}


@pytest.fixture
def small_parts(monkeypatch):
    """Read few rows at a time."""
    monkeypatch.setattr(arrow_files, "ROWS", 5)
    monkeypatch.setattr(csv_tables, "ROWS", 5)


def assert_same(members, rows):
    vectors, groups, ids = rows
    assert torch.equal(members.features["embedding"], torch.tensor(vectors))
    assert [members.names[number] for number in members.group.tolist()] == groups
    assert members.ids == ids


@pytest.mark.parametrize(("name", "write"), FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize("kind", [None, pa.list_(pa.float32()), pa.large_list(pa.float64())], ids=str)
def test_arrow_formats_are_read_in_parts(rows, tmp_path, small_parts, name, write, kind, capsys):
    write(tmp_path / name, pa.table(as_columns(rows, lists(rows[0], kind))))
    assert_same(read_members(open_table(tmp_path / name), Wanted()), rows)
    guess = f"{tmp_path / name}: guessed, as the only columns that fit: --embedding vector --id file --group product\n"
    assert capsys.readouterr().out == guess


def test_half_precision_is_kept(rows, tmp_path):
    half = rows[0].astype(np.float16)
    parquet.write_table(
        pa.table(as_columns(rows, lists(half, pa.list_(pa.float16(), half.shape[1])))), tmp_path / "t.parquet"
    )
    found = read_members(open_table(tmp_path / "t.parquet"), Wanted()).features["embedding"]
    assert torch.equal(found, torch.tensor(half))


def test_columns_of_numbers_are_ordered_by_their_number(rows, tmp_path, small_parts):
    vectors, groups, ids = rows
    wide = np.concatenate([vectors] * 3, 1)
    columns = {f"emb_{place}": wide[:, place] for place in reversed(range(wide.shape[1]))}
    parquet.write_table(pa.table({"product": groups, "file": ids, **columns, "x": wide[:, 0]}), tmp_path / "t.parquet")
    write_csv(
        tmp_path / "t.csv",
        ["product", "file", *columns],
        zip(groups, ids, *(column.tolist() for column in columns.values()), strict=True),
    )
    for name in ("t.parquet", "t.csv"):
        for embedding in (None, "emb_"):
            assert_same(read_members(open_table(tmp_path / name), Wanted("product", embedding)), (wide, groups, ids))


def test_lists_in_csv_are_read(rows, tmp_path, small_parts):
    vectors, groups, ids = rows
    cells = [json.dumps(row) for row in vectors.tolist()]
    write_csv(tmp_path / "t.csv", ["file", "product", "v"], zip(ids, groups, cells, strict=True))
    assert_same(read_members(open_table(tmp_path / "t.csv"), Wanted()), rows)


def test_a_large_array_is_a_temporary_file(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "MAPPED", 8)
    monkeypatch.setattr(storage.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    parquet.write_table(pa.table(as_columns(rows)), tmp_path / "t.parquet")
    members = read_members(open_table(tmp_path / "t.parquet"), Wanted())
    assert_same(members, rows)
    assert not list((tmp_path / "temporary").iterdir())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "posix_fallocate", full)
    with pytest.raises(UotaError, match="has no room for 0 MB of embeddings: No space left on device; make"):
        read_members(open_table(tmp_path / "t.parquet"), Wanted())


@pytest.mark.parametrize("form", ["Parquet", "CSV of numbers", "CSV of lists"])
def test_rows_without_an_embedding_or_a_group_are_named_and_left_out(rows, tmp_path, small_parts, form, capsys):
    vectors, groups, ids = rows
    some, grouped = list(vectors), list(groups)
    some[0] = some[7] = None
    some[11] = np.full_like(vectors[0], np.nan)
    grouped[9] = None
    if form == "Parquet":
        path = tmp_path / "t.parquet"
        parquet.write_table(
            pa.table({"file": ids, "product": grouped, "v": pa.array(some, pa.list_(pa.float32(), 5))}), path
        )
    elif form == "CSV of numbers":
        cells = [[""] * 5 if row is None else ["" if each != each else each for each in row.tolist()] for row in some]
        path = write_csv(
            tmp_path / "t.csv",
            ["file", "product", *(f"v{place}" for place in range(5))],
            ([own, group or "", *row] for own, group, row in zip(ids, grouped, cells, strict=True)),
        )
    else:
        cells = ["" if row is None else json.dumps(row.tolist()).replace("NaN", "null") for row in some]
        path = write_csv(
            tmp_path / "t.csv",
            ["file", "product", "v"],
            ([own, group or "", row] for own, group, row in zip(ids, grouped, cells, strict=True)),
        )
    members = read_members(open_table(path), Wanted())
    kept = [row for row in range(len(ids)) if row not in (0, 7, 9, 11)]
    assert_same(members, (vectors[kept], [groups[row] for row in kept], [ids[row] for row in kept]))
    said = capsys.readouterr().err
    assert "3 row(s) have no embedding, or one with missing, NaN or infinite entries, and are left out: row 0" in said
    assert "1 row(s) have no group, and are left out: row 9 (é 9.png)" in said


def test_empty_parts_and_empty_tables(rows, tmp_path):
    table = pa.table(as_columns(rows))
    with parquet.ParquetWriter(tmp_path / "t.parquet", table.schema) as writer:
        for part in (table[:0], table[:9], table[:0], table[9:], table[:0]):
            writer.write_table(part)
    assert_same(read_members(open_table(tmp_path / "t.parquet"), Wanted()), rows)
    parquet.write_table(table[:0], tmp_path / "empty.parquet")
    write_csv(tmp_path / "empty.csv", ["a", "v0", "v1"], [])
    for name in ("empty.parquet", "empty.csv"):
        with pytest.raises(UotaError, match="has no rows with an embedding and a group"):
            read_members(open_table(tmp_path / name), Wanted())


def test_names_that_are_not_utf8_are_kept(tmp_path):
    rows = [[f"caf\udce9{row}", row % 3, 1.0, 2.0] for row in range(6)]
    path = write_csv(tmp_path / "t.csv", ["file", "group", "v0", "v1"], rows)
    assert read_members(open_table(path), Wanted()).ids[0] == "caf\udce90"


def test_a_row_without_a_name_is_known_by_its_number(tmp_path):
    path = write_csv(tmp_path / "t.csv", ["file", "group", "v0", "v1"], [["a", "x", 1, 2], ["", "x", 1, 2]])
    assert read_members(open_table(path), Wanted()).ids == ["a", "row 1"]
    assert read_members(open_table(path), Wanted(group="file", id="group")).ids == ["x"]


RAGGED = pa.array([[1.0, 2.0], [1.0, 2.0], [1.0]])
ONE = {"g": ["a"], "v": [[1.0]]}
SEVERAL = "several columns that may be meant by"
TABLES = {
    "ragged lists": ({"g": ["a", "b", "c"], "v": RAGGED}, {}, "the embedding of row 2 has 1 numbers"),
    "two columns of lists": (ONE | {"w": [[1.0]]}, {}, f"{SEVERAL} --embedding; name one of its columns: g, v, w"),
    "no embedding": ({"g": ["a"], "n": [1.0]}, {}, "no column that may be meant by --embedding; name one of its"),
    "two groups": (ONE | {"h": ["b"]}, {}, f"{SEVERAL} --group; name one of its columns: g, h"),
    "no group": ({"n": [0.5], "v": [[1.0]]}, {}, "no column that may be meant by --group"),
    "an unknown group": (ONE, {"group": "k"}, "--group k is no column of"),
    "an unknown id": (ONE, {"id": "k"}, "--id k is no column of"),
    "an unknown embedding": (ONE, {"embedding": "k"}, "--embedding k names neither a column of lists nor"),
    "an embedding of text": (ONE, {"embedding": "g"}, "--embedding g is a column of neither lists"),
    "groups of lists": ({"g": [["a"]], "v": [[1.0]]}, {"group": "g"}, "is a column of lists or the like"),
}


@pytest.mark.parametrize(("columns", "wanted", "says"), TABLES.values(), ids=TABLES.keys())
def test_columns_that_do_not_fit_end_in_one_sentence(columns, wanted, says, tmp_path):
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(UotaError) as error:
        read_members(open_table(tmp_path / "t.parquet"), Wanted(**wanted))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


CSVS = {
    "nothing": ("", "is empty; give a table whose first line has the names"),
    "a text among numbers": ("g,v0,v1\na,1,2\nb,1,x\n", "row 1 of"),
    "a short row": ("g,v0,v1\na,1,2\nb,1\n", "row 1 of"),
    "no list": ('g,v\na,"[1, 2]"\nb,"[1, x]"\n', "the embedding of row 1 of"),
    "ragged lists": ('g,v\na,"[1, 2]"\nb,[1]\n', "has 1 numbers and those before it 2"),
    "a column twice": ("g,v0,v0\na,1,2\n", "has several columns 'v0'"),
    "deep lists": (f'g,v\na,"[1, 2]"\na,"{"[" * 10**5}"\n', "the embedding of row 1 of"),
}


@pytest.mark.parametrize(("text", "says"), CSVS.values(), ids=CSVS.keys())
def test_a_broken_csv_file_ends_in_one_sentence(text, says, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UotaError) as error:
        read_members(open_table(tmp_path / "t.csv"), Wanted())
    assert says in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather", "t.csv"])
def test_a_file_that_is_none_ends_in_one_sentence(name, tmp_path):
    with pytest.raises(UotaError, match="cannot be read: No such file or directory; give an existing file"):
        open_table(tmp_path / name)
    (tmp_path / name).write_bytes(b"\xff\x00 no table" if name != "t.csv" else b"")
    with pytest.raises(UotaError, match=r"cannot be read \(|is empty"):
        open_table(tmp_path / name)


def test_a_truncated_parquet_file_ends_in_one_sentence(rows, tmp_path):
    parquet.write_table(pa.table(as_columns(rows)), tmp_path / "t.parquet")
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[4:200] = bytes(196)
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(UotaError, match="cannot be read"):
        read_members(open_table(tmp_path / "t.parquet"), Wanted())
