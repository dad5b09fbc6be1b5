"""Tables that are written as .csv or .parquet."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from uota.console import printable
from uota.errors import UotaError
from uota.io.atomic import atomic_write
from uota.io.csv_files import write_csv

SUFFIXES = (".csv", ".parquet")
# Digits of numbers in CSV files.
DIGITS = 6


def check_table(out: Path, option: str = "out") -> None:
    """Check that a table can be written under this name.

    Raises:
        UotaError: its suffix is neither .csv nor .parquet, or pyarrow is missing.
    """
    if out.suffix not in SUFFIXES:
        raise UotaError(
            f"{printable(out)} is neither a .csv nor a .parquet file; give --{option} one of these suffixes"
        )
    if out.suffix == ".parquet" and not find_spec("pyarrow"):
        raise UotaError("a .parquet file needs pyarrow: pip install 'uota[parquet]', or give a .csv file")


def to_frame(columns: Mapping[str, ndarray]) -> Any:
    """Return a pandas DataFrame of columns.

    Raises:
        UotaError: pandas is not installed.
    """
    if not find_spec("pandas"):
        raise UotaError("a frame needs pandas: pip install pandas, or save a .csv file")
    import pandas

    return pandas.DataFrame(columns)


def write_columns(columns: Mapping[str, ndarray], out: Path) -> None:
    """Write a table atomically, as .csv (which escapes spreadsheet formulas with an apostrophe) or .parquet.

    Args:
        columns: columns of equal length. None and NaN become empty cells.
        out: file to write.

    Raises:
        UotaError: the suffix is another, the file cannot be written, or pyarrow is missing.
    """
    check_table(out)
    with atomic_write(out) as unfinished:
        if out.suffix == ".csv":
            rows: Iterable[Any] = zip(*map(_cells, columns.values()), strict=True)
            write_csv(unfinished, chain([columns], rows))
            return
        import pyarrow
        from pyarrow.parquet import write_table

        write_table(pyarrow.table({name: _arrow(column) for name, column in columns.items()}), unfinished)


def _cells(column: ndarray) -> list[Any]:
    if column.dtype.kind != "f":
        return column.tolist()
    rounded = np.round(column.astype(np.float64), DIGITS)
    return [None if value != value else value for value in rounded.tolist()]


def _arrow(column: ndarray) -> Any:
    """Return an Arrow array in which NaN is missing; columns of objects are of text, also if all are missing."""
    import pyarrow

    text = pyarrow.string() if column.dtype == object else None
    return pyarrow.array(column, type=text, from_pandas=True)
