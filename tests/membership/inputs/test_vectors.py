"""Every kind of embeddings becomes the same tensor, and what is no such thing ends in one sentence."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch

from uota.errors import UotaError
from uota.membership.inputs.vectors import as_features, as_vectors

ROWS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
READ_ONLY = ROWS.copy()
READ_ONLY.flags.writeable = False
KINDS = {
    "float32": ROWS,
    "read-only": READ_ONLY,
    "float64": ROWS.astype(np.float64),
    "big-endian": ROWS.astype(">f4"),
    "reversed": ROWS[:, ::-1].copy()[:, ::-1],
    "objects": np.array(ROWS.tolist(), dtype=object),
    "tensor": torch.tensor(ROWS, requires_grad=True),
    "float64 tensor": torch.tensor(ROWS).double(),
    "lists": ROWS.tolist(),
    "tuples": tuple(map(tuple, ROWS.tolist())),
    "arrays": list(ROWS),
    "tensors": list(torch.tensor(ROWS, requires_grad=True)),
    "pandas frame": pd.DataFrame(ROWS, index=range(7, 0, -1)),
    "pandas frame of nullable numbers": pd.DataFrame(ROWS).convert_dtypes(),
    "pandas series": pd.Series(list(ROWS)),
    "pandas series of Arrow": pd.Series(ROWS.tolist(), dtype=pd.ArrowDtype(pa.list_(pa.float32()))),
    "pandas frame of lists": pd.DataFrame({"vector": ROWS.tolist()}),
    "polars frame": pl.DataFrame(ROWS),
    "polars lists": pl.Series(ROWS.tolist()),
    "polars arrays": pl.Series(ROWS.tolist(), dtype=pl.Array(pl.Float32, 3)),
    "polars frame of lists": pl.DataFrame({"vector": ROWS.tolist()}),
    "Arrow lists": pa.array(ROWS.tolist()),
    "Arrow large lists": pa.array(ROWS.tolist(), pa.large_list(pa.float64())),
    "Arrow lists of fixed size": pa.array(list(ROWS), pa.list_(pa.float32(), 3)),
    "a slice of Arrow lists": pa.array([[9.0] * 3, *ROWS.tolist()]).slice(1),
    "Arrow chunks": pa.chunked_array([pa.array(ROWS[:2].tolist()), pa.array(ROWS[2:].tolist())]),
    "Arrow table": pa.table({str(place): ROWS[:, place] for place in range(3)}),
    "Arrow table of lists": pa.table({"vector": ROWS.tolist()}),
}


@pytest.mark.parametrize("given", KINDS.values(), ids=KINDS.keys())
def test_every_kind_of_embeddings_becomes_the_same_tensor(given):
    found = as_vectors(given)
    assert found.dtype == torch.float32
    assert torch.equal(found.detach(), torch.tensor(ROWS))


@pytest.mark.parametrize("given", [ROWS, READ_ONLY, torch.tensor(ROWS), KINDS["Arrow lists of fixed size"]], ids=type)
def test_single_precision_is_not_copied(given):
    address = {
        np.ndarray: lambda: given.__array_interface__["data"][0],
        torch.Tensor: lambda: given.data_ptr(),
    }.get(type(given), lambda: given.values.buffers()[1].address)()
    assert as_vectors(given).data_ptr() == address


def test_half_precision_stays_and_integers_become_single():
    half = ROWS.astype(np.float16)
    kept = [half, torch.tensor(half), list(half), pa.array(list(half), pa.list_(pa.float16(), 3))]
    assert all(torch.equal(as_vectors(each), torch.tensor(half)) for each in kept)
    assert torch.equal(as_vectors(np.arange(6, dtype=np.uint8).reshape(2, 3)), torch.arange(6.0).reshape(2, 3))
    assert torch.equal(as_vectors(torch.tensor(ROWS).bfloat16()), torch.tensor(ROWS).bfloat16().float())


def test_several_kinds_of_features_keep_their_names():
    found = as_features({"output": ROWS, "last": ROWS[:, :2].tolist()})
    assert {name: each.shape[1] for name, each in found.items()} == {"output": 3, "last": 2}
    assert list(as_features(ROWS)) == ["embedding"]


NAN, RAGGED, MISSING = ROWS.copy(), [[1.0, 2.0], [1.0, 2.0], [1.0]], [[1.0, 2.0], None, [1.0, 2.0]]
NAN[4, 1] = np.nan
WRONG = {
    "one dimension": (np.zeros(3), "have 1 dimension(s) (3,); give one row of numbers for each member"),
    "three dimensions": (torch.zeros(3, 2, 2), "have 3 dimension(s) (3, 2, 2); give one row"),
    "numbers": ([1.0, 2.0], "row 0 of the embeddings is one value of the type float; give one row"),
    "a number": (3, "embeddings are of the type int; give one row"),
    "lists of lists": ([[[1.0]]], "row 0 of the embeddings is an array of shape (1, 1); give"),
    "text": (np.array([["a"]]), "embeddings are of the type <U1; give numbers"),
    "lists of text": ([["a", "b"]], "row 0 of the embeddings is of the type <U1"),
    "complex": (torch.zeros(2, 2, dtype=torch.complex64), "give real numbers"),
    "sparse": (scipy.sparse.eye(3).tocsr(), "sparse matrix; give a dense one"),
    "a sparse tensor": (torch.eye(3).to_sparse(), "sparse tensor; give a dense one"),
    "masked": (np.ma.masked_invalid(NAN), "masked entries"),
    "NaN": (NAN, "row 4 of embeddings has missing, NaN or infinite entries, or such that are too large"),
    "too large": (np.full((2, 2), 1e300), "row 0 of embeddings has missing, NaN or infinite entries"),
    "None in a row": ([[1.0, 2.0], [None, 1.0]], "row 1 of embeddings has missing"),
    "no rows": (np.zeros((0, 3)), "have 0 rows of 3 numbers"),
    "no columns": (np.zeros((3, 0)), "have 3 rows of 0 numbers"),
    "an empty list": ([], "have 0 rows of 0 numbers"),
    "an empty mapping": ({}, "the mapping of embeddings is empty"),
    "kinds of other lengths": ({"a": ROWS, "b": ROWS[:3]}, "embeddings a have 7 rows and b 3; give equally many"),
    "a kind with NaN": ({"a": ROWS, "b": NAN}, "row 4 of embeddings b has"),
    "ragged lists": (RAGGED, "row 2 of the embeddings has 1 numbers and row 0 has 2"),
    "ragged polars": (pl.Series(RAGGED), "row 2 of the embeddings has 1 numbers and row 0 has 2"),
    "ragged Arrow": (pa.array(RAGGED), "the embedding of row 2 has 1 numbers and those before it 2"),
    "a missing list": (MISSING, "row 1 of the embeddings is missing"),
    "missing in pandas": (pd.Series(MISSING), "row 1 of the embeddings is missing"),
    "missing in polars": (pl.Series(MISSING), "row 1 of the embeddings is missing"),
    "missing in Arrow": (pa.array(MISSING), "row 1 of the embeddings is missing"),
    "missing in a frame": (pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [1, 2]}), "row 1 of embeddings"),
    "text in pandas": (pd.DataFrame({"a": [1.0], "name": ["x"]}), "the column name of the embeddings is of the type"),
    "text in polars": (pl.DataFrame({"a": [1.0], "name": ["x"]}), "the column name of the embeddings is of the type"),
    "text in Arrow": (pa.table({"a": [1.0], "name": ["x"]}), "the column name of the embeddings is of the type string"),
    "an Arrow array of numbers": (pa.array([1.0]), "of the type double; give one of lists of numbers"),
}


@pytest.mark.parametrize(("given", "says"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_rows_of_numbers_ends_in_one_sentence(given, says):
    with pytest.raises(UotaError) as error:
        as_features(given)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
