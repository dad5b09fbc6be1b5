"""Tables that are written."""

import numpy as np
import pytest

from uota.errors import UotaError
from uota.io.tables import check_table, write_columns


def test_missing_values_become_empty_cells(tmp_path):
    columns = {"a": np.array([1.5, np.nan], dtype=np.float32), "b": np.array([None, "=1"], dtype=object), "c": [1, 2]}
    write_columns(columns | {"c": np.array([1, 2])}, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "a,b,c\n1.5,,1\n,'=1,2\n"


def test_another_suffix_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(UotaError, match=r"t.txt is neither a .csv nor a .parquet file"):
        check_table(tmp_path / "t.txt", "table")


def test_parquet_without_pyarrow_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("uota.io.tables.find_spec", lambda name: None)
    with pytest.raises(UotaError, match="needs pyarrow"):
        write_columns({"a": np.zeros(1)}, tmp_path / "t.parquet")
