"""CSV files as tables of members, with the embedding in numbered columns or as a list in one column."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
from numpy import ndarray

from uota.console import printable
from uota.errors import UotaError
from uota.io.reading import open_regular
from uota.membership.inputs.collecting import Part
from uota.membership.inputs.columns import Columns, Kind

# Rows that are read at once, and largest number of characters of a cell.
ROWS, CELL = 2**12, 2**24


class CsvTable:
    """A CSV file in UTF-8, with a first line of column names; it is read once to count its rows."""

    def __init__(self, path: Path) -> None:
        """Use `open_csv`."""
        self.path, self.name = path, str(path)
        with self._rows() as rows:
            self.header = next(rows, [])
            cells = [""] * len(self.header)
            self.rows = 0
            for row in rows:
                self.rows += 1
                if "" in cells:  # kinds are told by the first cell of each column that is not empty
                    cells = [cell or other for cell, other in zip_longest(cells, row, fillvalue="")]
        if not self.header:
            raise UotaError(f"{printable(path)} is empty; give a table whose first line has the names of its columns")
        repeated = next((name for name in self.header if self.header.count(name) > 1), None)
        if repeated is not None:
            raise UotaError(f"{printable(path)} has several columns {printable(repeated)!r}; rename them")
        self.kinds: dict[str, Kind] = dict(zip(self.header, map(_kind, cells), strict=False))

    def __len__(self) -> int:
        return self.rows

    def parts(self, columns: Columns, width: Callable[[], int | None]) -> Iterator[Part]:
        """Read the rows in their order."""
        embedded = [self.header.index(name) for name in columns.embedding]
        group = self.header.index(columns.group)
        ids = None if columns.id is None else self.header.index(columns.id)
        is_list = [self.kinds[name] for name in columns.embedding] == ["vectors"]
        first = 0
        with self._rows() as rows:
            next(rows)
            while batch := list(islice(rows, ROWS)):
                for place, row in enumerate(batch):
                    if len(row) != len(self.header):
                        raise UotaError(
                            f"row {first + place} of {printable(self.path)} has {len(row)} cells and the first line "
                            f"{len(self.header)}; write the table again"
                        )
                cells = [[row[place] for place in embedded] for row in batch]
                vectors = self._lists(cells, first, width()) if is_list else self._numbers(cells, columns, first)
                named = None if ids is None else [row[ids] or None for row in batch]
                yield Part(vectors, [row[group] or None for row in batch], named)
                first += len(batch)

    def _numbers(self, cells: list[list[str]], columns: Columns, first: int) -> ndarray:
        """Return cells as numbers; empty ones become NaN."""
        try:
            return _single([[cell or "nan" for cell in row] for row in cells], len(columns.embedding))
        except ValueError as error:
            for place, row in enumerate(cells):
                for name, cell in zip(columns.embedding, row, strict=True):
                    if cell and not _is_number(cell):
                        raise UotaError(
                            f"row {first + place} of {printable(self.path)} has {printable(cell[:40])!r} in the column "
                            f"{printable(name)} of the embeddings; give only numbers"
                        ) from error
            raise

    def _lists(self, cells: list[list[str]], first: int, width: int | None) -> ndarray:
        """Return cells with lists as rows of numbers; empty ones become rows of NaN."""
        found: list[list[float] | None] = []
        for place, (cell,) in enumerate(cells):
            row = self._list(cell, first + place) if cell.strip() else None
            width = width or (len(row) if row else None)
            if row and len(row) != width:
                raise UotaError(
                    f"the embedding of row {first + place} of {printable(self.path)} has {len(row)} numbers and those "
                    f"before it {width}; give equally many in every row"
                )
            found.append(row or None)
        return _single([row or [np.nan] * (width or 0) for row in found], width or 0)

    def _list(self, cell: str, row: int) -> list[float]:
        try:
            found = json.loads(cell)
            return [float("nan") if number is None else float(number) for number in found]
        except (ValueError, TypeError, RecursionError) as error:
            raise UotaError(
                f"the embedding of row {row} of {printable(self.path)} is not a list of numbers such as [0.1, 0.2]; "
                "write the table again"
            ) from error

    @contextmanager
    def _rows(self) -> Iterator[Iterator[list[str]]]:
        before = csv.field_size_limit(CELL)
        try:
            with open(open_regular(self.path), encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                yield (row for row in csv.reader(file) if row)
        except csv.Error as error:
            raise UotaError(f"{printable(self.path)} is not a CSV file ({error}); write it again") from error
        except OSError as error:
            why = error.strerror or error
            raise UotaError(f"{printable(self.path)} cannot be read: {why}; give an existing file") from error
        finally:
            csv.field_size_limit(before)


def open_csv(path: Path) -> CsvTable:
    """Open a CSV file.

    Raises:
        UotaError: it cannot be read, or has no names of columns.
    """
    return CsvTable(path)


def _kind(cell: str) -> Kind:
    text = cell.strip()
    return "vectors" if text.startswith("[") and text.endswith("]") else "names"


def _single(rows: Sequence[Sequence[str]] | Sequence[Sequence[float]], width: int) -> ndarray:
    with np.errstate(over="ignore"):
        return np.array(rows, dtype=np.float64).astype(np.float32).reshape(len(rows), width)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
