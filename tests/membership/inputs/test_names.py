"""Groups and names of any type."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from uota.errors import UotaError
from uota.membership.inputs.names import as_text, first_repeated, name_members, number_groups

TEXTS = ["b", "a", "b", "c"]
NUMBERED = [
    TEXTS,
    tuple(TEXTS),
    np.array(TEXTS),
    np.array(TEXTS, dtype=object),
    list(np.array(TEXTS)),
    pd.Series(TEXTS, index=[4, 3, 2, 1]),
    pd.Series(TEXTS, dtype="category"),
    pl.Series(TEXTS),
    pa.array(TEXTS),
    list(pa.array(TEXTS)),
    pa.array(TEXTS).dictionary_encode(),
    pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    (each for each in TEXTS),
]


@pytest.mark.parametrize("groups", NUMBERED, ids=lambda groups: type(groups).__name__)
def test_groups_are_numbered_in_their_order_whatever_holds_them(groups):
    found = number_groups(groups)
    assert found.number.tolist() == [0, 1, 0, 2]
    assert found.names == ["b", "a", "c"]


@pytest.mark.parametrize(
    "groups", [np.array([7, 3, 7]), torch.tensor([7, 3, 7]), [7.0, 3, 7], list(torch.tensor([7, 3, 7]))]
)
def test_numbers_are_named_without_a_point(groups):
    assert number_groups(groups).names == ["7", "3"]


def test_any_hashable_value_is_a_group():
    assert number_groups([("a", 1), ("a", 2), ("a", 1)]).number.tolist() == [0, 1, 0]
    assert number_groups([b"\xff", b"b"]).names == ["\udcff", "b"]


MISSING = [
    ["a", None, "b", None],
    ["a", float("nan"), "b", np.nan],
    pd.Series(["a", None, "b", pd.NA]),
    pl.Series(["a", None, "b", None]),
    pa.array(["a", None, "b", None]),
    np.array([1.0, np.nan, 2.0, np.nan]),
]


@pytest.mark.parametrize("groups", MISSING, ids=lambda groups: type(groups).__name__)
def test_the_first_row_without_a_group_is_named(groups):
    with pytest.raises(UotaError, match=r"^row 1 has no group, and 1 more; leave such rows out"):
        number_groups(groups)


NO_GROUPS = [
    ([["a"], ["b"]], r"the group of row 0 is \['a'\]"),
    ("abc", "groups are 'abc'"),
    (3, "groups are 3"),
    ({"a": 1}, "groups are {'a': 1}"),
    (np.zeros((2, 2)), "the group of row 0"),
]


@pytest.mark.parametrize(("groups", "says"), NO_GROUPS)
def test_what_is_no_group_ends_in_one_sentence(groups, says):
    with pytest.raises(UotaError, match=says):
        number_groups(groups)


def test_names_become_text():
    assert name_members(np.array([1, 2]), 2) == ["1", "2"]
    assert name_members(None, 2) is None
    assert as_text(2.5) == "2.5"
    assert first_repeated(["a", "b", "a", "b"]) == "a"
    assert first_repeated(["a", "b"]) is None
    with pytest.raises(UotaError, match="there are 1 ids and 2 embeddings"):
        name_members(["a"], 2)
    with pytest.raises(UotaError, match="row 1 has no id; give an id for every row, or no ids"):
        name_members(["a", None], 2)
