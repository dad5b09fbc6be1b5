"""Embeddings in the frames and series of pandas and polars, which are not imported: their objects are asked."""

from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from uota.console import printable
from uota.errors import UotaError
from uota.membership.inputs.rows import check_widths, stack


def is_frame(given: Any) -> bool:
    """Whether this is a DataFrame of pandas or polars."""
    return type(given).__name__ == "DataFrame" and hasattr(given, "to_numpy")


def is_series(given: Any) -> bool:
    """Whether this is a Series of pandas or polars."""
    return type(given).__name__ == "Series" and hasattr(given, "to_numpy")


def rows_of_frame(frame: Any) -> Shaped[ndarray, "rows dim"]:
    """Return the rows of a frame whose columns are all numbers, or which has one column of lists.

    Raises:
        UotaError: a column is something else; the message names it.
    """
    if len(frame.columns) == 1 and not _is_number(column := frame[frame.columns[0]]):
        return rows_of_series(column)
    for name in frame.columns:
        if not _is_number(frame[name]):
            raise UotaError(
                f"the column {printable(str(name))} of the embeddings is of the type {frame[name].dtype}; "
                "give only columns of numbers, or one column of lists"
            )
    array: ndarray = frame.to_numpy()
    return array if array.dtype != object else _with_missing(frame)


def rows_of_series(series: Any) -> Shaped[ndarray, "rows dim"]:
    """Return the lists of a series as rows.

    Raises:
        UotaError: it is not one of lists of equally many numbers.
    """
    if hasattr(series, "explode") and hasattr(series, "list"):
        kind = str(series.dtype)
        if kind.startswith(("List", "Array")):
            return _of_polars(series, is_array=kind.startswith("Array"))
    return stack(series.tolist() if hasattr(series, "tolist") else series.to_list())


def _of_polars(series: Any, is_array: bool) -> ndarray:
    if series.null_count():
        row = int(series.is_null().arg_max())
        raise UotaError(f"row {row} of the embeddings is missing; leave such rows out, groups and all")
    if not len(series):
        return np.zeros((0, 0), dtype=np.float32)
    if not is_array:
        check_widths(series.list.len().to_list())
    numbers: ndarray = series.explode().to_numpy()
    return numbers.reshape(len(series), -1)


def _is_number(column: Any) -> bool:
    kind = column.dtype
    if hasattr(kind, "is_numeric"):  # of polars
        return bool(kind.is_numeric()) or str(kind) == "Boolean"
    return getattr(kind, "kind", "O") in "fiub"


def _with_missing(frame: Any) -> ndarray:
    """Return a pandas frame of types that have missing values, which become NaN."""
    array: ndarray = frame.to_numpy(dtype=np.float32, na_value=np.nan)
    return array
