"""Embeddings in Arrow arrays and tables; pyarrow is imported only by who has made one."""

from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from uota.console import printable
from uota.errors import UotaError


def is_arrow(given: Any) -> bool:
    """Whether this is an object of pyarrow."""
    return type(given).__module__.partition(".")[0] == "pyarrow"


def is_vector(kind: Any) -> bool:
    """Whether an Arrow type is one of lists of numbers."""
    from pyarrow import types

    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    return any(is_kind(kind) for is_kind in lists) and is_number(kind.value_type)


def is_number(kind: Any) -> bool:
    """Whether an Arrow type is one of numbers."""
    from pyarrow import types

    return types.is_floating(kind) or types.is_integer(kind)


def rows_of_arrow(given: Any) -> Shaped[ndarray, "rows dim"]:
    """Return an array of lists, or a table of numbers or of one column of lists, as rows of numbers.

    Raises:
        UotaError: it is something else, or a list is missing or of another length.
    """
    if not hasattr(given, "column_names"):
        return _of_lists(given)
    kinds = dict(zip(given.column_names, given.schema.types, strict=True))
    if len(kinds) == 1 and is_vector(*kinds.values()):
        return _of_lists(given.column(0))
    for name, kind in kinds.items():
        if not is_number(kind):
            raise UotaError(
                f"the column {printable(name)} of the embeddings is of the type {kind}; "
                "give only columns of numbers, or one column of lists"
            )
    return stack_columns(given.columns)


def _of_lists(given: Any) -> ndarray:
    if not is_vector(given.type):
        raise UotaError(f"embeddings are an Arrow array of the type {given.type}; give one of lists of numbers")
    array = given.combine_chunks() if hasattr(given, "combine_chunks") else given
    if array.null_count:
        row = array.is_null().to_pylist().index(True)
        raise UotaError(f"row {row} of the embeddings is missing; leave such rows out, groups and all")
    return vectors_of(array, 0, None)


def vectors_of(array: Any, first: int, width: int | None) -> Shaped[ndarray, "rows dim"]:
    """Return an Arrow array of lists as rows of numbers; of missing and of empty lists, rows of NaN.

    Args:
        array: the lists.
        first: number of the first row, for messages.
        width: numbers in each list, if known before.

    Raises:
        UotaError: a list has more or fewer numbers than the others; the message names its row.
    """
    lengths = np.asarray(_lengths(array))
    has = lengths > 0
    if width is None:
        width = int(lengths[has][0]) if has.any() else 0
    odd = has & (lengths != width)
    if odd.any():
        row = int(odd.argmax())
        raise UotaError(
            f"the embedding of row {first + row} has {lengths[row]} numbers and those before it {width}; "
            "give equally many in every row"
        )
    numbers = as_floats(array.flatten())
    if has.all():
        return numbers.reshape(len(array), width)
    rows = np.full((len(array), width), np.nan, dtype=numbers.dtype)
    rows[has] = numbers.reshape(int(has.sum()), width)
    return rows


def stack_columns(columns: list[Any]) -> Shaped[ndarray, "rows columns"]:
    """Return Arrow arrays of numbers side by side; missing numbers become NaN."""
    parts = [as_floats(column) for column in columns]
    rows = np.empty((len(parts[0]), len(parts)), dtype=np.result_type(*parts))
    for place, part in enumerate(parts):
        rows[:, place] = part
    return rows


def as_floats(array: Any) -> ndarray:
    """Return an Arrow array of numbers with half or single precision; missing numbers become NaN."""
    options = {} if hasattr(array, "chunks") else {"zero_copy_only": False}
    numbers: ndarray = array.to_numpy(**options)
    with np.errstate(over="ignore"):  # what is beyond single precision becomes infinite, which is reported
        return numbers if numbers.dtype == np.float16 else numbers.astype(np.float32, copy=False)


def _lengths(array: Any) -> Any:
    """Return the number of entries of each list; 0 for a missing one."""
    from pyarrow import compute

    return compute.fill_null(compute.list_value_length(array), 0)
