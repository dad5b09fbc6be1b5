"""Arrays with their groups in another file."""

import numpy as np
import pytest
import torch

from uota.errors import UotaError
from uota.io.csv_files import write_csv
from uota.membership.inputs.arrays import read_array, table_of
from uota.membership.inputs.columns import Wanted


@pytest.fixture
def array(rows, tmp_path):
    vectors, groups, ids = rows
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "g.npy", np.array(groups))
    (tmp_path / "other").mkdir()
    for name in ("v.csv", "other/t.csv"):
        write_csv(tmp_path / name, [("file", "product"), *zip(ids, [group[1:] for group in groups], strict=True)])
    return tmp_path / "v.npy"


def test_groups_are_in_the_table_beside_it_or_in_another(rows, array):
    vectors, groups, ids = rows
    given = [None, "product", f"{array.parent}/other/t.csv:product", f"{array.parent}/other/t.csv:"]
    for group in given:
        members = read_array(array, Wanted(group))
        assert torch.equal(members.features["embedding"], torch.tensor(vectors))
        assert [members.names[number] for number in members.group.tolist()] == [each[1:] for each in groups]
        assert members.ids == ids


def test_groups_are_in_another_array(rows, array):
    members = read_array(array, Wanted(f"{array.parent}/g.npy"))
    assert [members.names[number] for number in members.group.tolist()] == rows[1]
    assert members.ids[:2] == ["0", "1"]
    assert table_of(array, f"{array.parent}/g.npy") == array.parent / "g.npy"
    assert table_of(array, None) == array.parent / "v.csv"


def test_half_precision_stays_and_wide_types_become_single(rows, array):
    for kind, kept in ((np.float16, torch.float16), (np.float64, torch.float32), (np.int8, torch.float32)):
        np.save(array, rows[0].astype(kind))
        assert read_array(array, Wanted()).features["embedding"].dtype == kept


def test_what_does_not_fit_ends_in_one_sentence(rows, array):
    def assert_refused(says, *wanted, **named):
        with pytest.raises(UotaError, match=says):
            read_array(array, Wanted(*wanted, **named))

    assert_refused("has nothing but embeddings", embedding="v")
    assert_refused("--group k is no column of", "k")
    assert_refused("--id names a column", f"{array.parent}/g.npy", id="file")
    np.save(array, rows[0][:-1])
    assert_refused("has 23 rows and .* 24; give a group for each row")
    np.save(array, rows[0][0])
    assert_refused("float32 of shape \\(5,\\); give one row of numbers for each member")
    np.save(array, np.array([{}], dtype=object), allow_pickle=True)
    assert_refused("v.npy cannot be read")
    array.write_bytes(b"no array")
    assert_refused("v.npy cannot be read")
    np.save(array, rows[0])
    (array.parent / "v.csv").unlink()
    assert_refused("there are no groups for .*: name their column by --group TABLE:COLUMN")
