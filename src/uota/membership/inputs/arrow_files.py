"""Parquet and Arrow files, and other sources of Arrow record batches, as tables of members."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from uota.console import printable
from uota.errors import UotaError
from uota.io.reading import open_regular
from uota.membership.inputs.arrow import is_number, is_vector, stack_columns, vectors_of
from uota.membership.inputs.collecting import Part
from uota.membership.inputs.columns import Columns, Kind

# Rows, and bytes of each column of a Parquet file, that are read at once.
ROWS, BUFFER = 2**14, 2**20


@dataclass(frozen=True)
class ArrowTable:
    """Arrow record batches.

    Attributes:
        name: for messages.
        kinds: kind of each column.
        rows: number of rows.
        batches: reads record batches of these columns, or smaller tables.
        decode: what turns the values of a column into those that people know, by column.
    """

    name: str
    kinds: Mapping[str, Kind]
    rows: int
    batches: Callable[[Sequence[str]], Iterator[Any]]
    decode: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.rows

    def parts(self, columns: Columns, width: Callable[[], int | None]) -> Iterator[Part]:
        """Read the rows in their order."""
        others = [columns.group, *([columns.id] if columns.id is not None else [])]
        first = 0
        with readable(self.name):
            for batch in self.batches(list(dict.fromkeys([*columns.embedding, *others]))):
                for start in range(0, batch.num_rows, ROWS):
                    rows = batch.slice(start, ROWS)
                    vectors = _vectors(rows, columns, first, width())
                    ids = None if columns.id is None else self._values(rows, columns.id)
                    yield Part(vectors, self._values(rows, columns.group), ids)
                    first += rows.num_rows

    def _values(self, rows: Any, column: str) -> list[Any]:
        values: list[Any] = rows.column(column).to_pylist()
        return [*map(self.decode[column], values)] if column in self.decode else values


def _vectors(rows: Any, columns: Columns, first: int, width: int | None) -> ndarray:
    embedded = [_whole(rows.column(name)) for name in columns.embedding]
    if not embedded:
        return np.empty((rows.num_rows, 0), dtype=np.float32)
    return vectors_of(embedded[0], first, width) if is_vector(embedded[0].type) else stack_columns(embedded)


def _whole(column: Any) -> Any:
    return column.combine_chunks() if hasattr(column, "combine_chunks") else column


def open_parquet(path: Path) -> ArrowTable:
    """Open a Parquet file, of which one part at a time is in memory.

    Raises:
        UotaError: it cannot be read, or pyarrow is missing.
    """
    check_file(path)
    from pyarrow.parquet import ParquetFile

    with readable(str(path)):
        # With pyarrow's defaults, all that was read stays in memory, and a row group is read as a whole.
        file = ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
        schema, rows = file.schema_arrow, file.metadata.num_rows
    return ArrowTable(
        str(path), kinds_of(schema, str(path)), rows, lambda columns: file.iter_batches(ROWS, columns=columns)
    )


def open_arrow(path: Path) -> ArrowTable:
    """Open an Arrow or Feather file, or a stream of record batches in a file; it is mapped into memory.

    Raises:
        UotaError: it cannot be read, or pyarrow is missing.
    """
    check_file(path)
    import pyarrow

    def batches() -> Iterator[Any]:
        source = pyarrow.memory_map(str(path))
        if not is_stream:
            file = pyarrow.ipc.open_file(source)
            return (file.get_batch(place) for place in range(file.num_record_batches))
        return iter(pyarrow.ipc.open_stream(source))

    with readable(str(path)):
        source = pyarrow.memory_map(str(path))
        try:
            schema, is_stream = pyarrow.ipc.open_file(source).schema, False
        except pyarrow.ArrowInvalid:
            schema, is_stream = pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))).schema, True
        rows = sum(batch.num_rows for batch in batches())
    kinds = kinds_of(schema, str(path))
    return ArrowTable(str(path), kinds, rows, lambda columns: (batch.select(columns) for batch in batches()))


def kinds_of(schema: Any, name: str) -> dict[str, Kind]:
    """Return the kind of each column of an Arrow schema.

    Raises:
        UotaError: two columns have the same name.
    """
    repeated = next((each for each in schema.names if schema.names.count(each) > 1), None)
    if repeated is not None:
        raise UotaError(f"{printable(name)} has several columns {printable(repeated)}; rename them")
    return {field.name: _kind(field.type) for field in schema}


def _kind(kind: Any) -> Kind:
    from pyarrow import types

    if is_vector(kind):
        return "vectors"
    if types.is_floating(kind):
        return "numbers"
    if types.is_nested(kind):
        return "other"
    return "names" if is_number(kind) or not types.is_null(kind) else "other"


def check_file(path: Path) -> None:
    """Check that a regular file is there, and pyarrow to read it.

    Raises:
        UotaError: it is not, or pyarrow is missing.
    """
    if not find_spec("pyarrow"):
        raise UotaError(f"{printable(path)} needs pyarrow: pip install 'uota[parquet]', or give a .csv file")
    try:
        os.close(open_regular(path))
    except OSError as error:
        raise UotaError(
            f"{printable(path)} cannot be read: {error.strerror or error}; give an existing file"
        ) from error


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Raise a UotaError, with the name of the file, for what pyarrow cannot read."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, UotaError):
            raise
        why = printable(str(error).partition("\n")[0])
        raise UotaError(f"{printable(name)} cannot be read ({why}); write it again") from error
