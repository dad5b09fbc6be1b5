"""The tables of verdicts, made by hand."""

import csv

import numpy as np
import pyarrow.parquet
import pytest
import torch
from tests.membership.made import made

from uota.errors import UotaError


def test_members_are_listed_worst_first():
    found = made()
    columns = found.columns()
    assert list(columns) == [
        *("file", "group", "probability", "fdr"),
        *("fits_better", "fits_probability", "nearest_own", "nearest_other"),
    ]
    assert columns["file"].tolist() == ["=b", "caf\\udcff", "a\\n", "alone"]
    assert columns["group"].tolist() == ["x", "@y", "x", "z"]
    assert columns["fits_better"].tolist() == ["@y", "x", "z", "x"]
    assert columns["nearest_own"].tolist() == ["a\\n", None, "=b", None]
    assert columns["probability"].tolist() == pytest.approx([0.9, 0.5, 0.1, 0.1])


def test_groups_are_listed_by_the_members_expected_to_be_wrong():
    columns = made().group_columns()
    assert columns["group"].tolist() == ["x", "@y", "z"]
    assert columns["size"].tolist() == [2, 1, 1]
    assert columns["expected_wrong"].tolist() == pytest.approx([1.0, 0.5, 0.1])
    assert columns["merge_with"].tolist() == ["@y", None, "x"]


def test_tables_are_written_as_csv_and_parquet(tmp_path):
    found = made()
    found.save(tmp_path / "members.csv")
    found.save_groups(tmp_path / "groups.csv")
    with (tmp_path / "members.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["'=b", "caf\\udcff", "a\\n", "alone"]
    assert [row["group"] for row in rows] == ["x", "'@y", "x", "z"]
    assert [row["nearest_own"] for row in rows] == ["a\\n", "", "'=b", ""]
    assert [row["fits_probability"] for row in rows] == ["0.25", "", "0.5", "0.5"]
    assert (tmp_path / "groups.csv").read_text().splitlines()[1] == "x,2,1.0,0.75,'@y,0.5"
    found.save(tmp_path / "members.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "members.parquet")
    assert table["file"].to_pylist() == ["=b", "caf\\udcff", "a\\n", "alone"]
    assert table["nearest_own"].to_pylist() == ["a\\n", None, "=b", None]
    assert table["fits_probability"].to_pylist() == [0.25, None, 0.5, 0.5]
    with pytest.raises(UotaError, match=r"is neither a .csv nor a .parquet file"):
        found.save(tmp_path / "members.xlsx")


def test_frames_are_the_tables():
    found = made()
    frame = found.to_frame()
    assert frame["file"].tolist() == found.columns()["file"].tolist()
    assert np.array_equal(frame["fdr"].to_numpy(), found.columns()["fdr"])
    assert found.groups_to_frame()["size"].tolist() == [2, 1, 1]


def test_the_summary_says_how_many():
    assert repr(made()) == "Misfiled: 25.0 % (10.0 to 40.0 %) of 4 members of 3 groups do not belong"


def test_a_column_without_any_member_is_still_text(tmp_path):
    found = made()
    object.__setattr__(found.members, "nearest_own", torch.full((4,), -1))
    found.save(tmp_path / "members.parquet")
    assert str(pyarrow.parquet.read_schema(tmp_path / "members.parquet").field("nearest_own").type) == "string"
