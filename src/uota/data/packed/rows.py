"""Images in the cells of Arrow tables, by row."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from uota.data.files.decode import UnreadableError
from uota.io.reading import file_stamp


class Rows:
    """The images in a column of a table, by index; takes 8 bytes of memory for each."""

    def __init__(self, folder: Path, table: Any, column: str, rows: Int64[np.ndarray, " len"]) -> None:
        """Keep the table; image i is in row `rows[i]`."""
        self.folder, self.table, self.column, self.rows = folder, table, column, rows

    @cached_property
    def _stamps(self) -> bytes:
        """Path, size and times of change of the table's files, which are mapped into memory and do not change."""
        return b"\0".join(file_stamp(file["filename"]) for file in self.table.cache_files)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.rows)

    def path(self, index: int) -> Path:
        """The table's folder, followed by the number of the row."""
        return self.folder / f"row {self.rows[index]}"

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of an image, which `save_to_disk` copies into the table.

        Raises:
            UnreadableError: the cell is empty.
        """
        cell = self.table[int(self.rows[index])][self.column]
        if cell is None or cell["bytes"] is None:
            raise UnreadableError("the cell is empty")
        return np.frombuffer(cell["bytes"], dtype=np.uint8)

    def identity(self, index: int) -> bytes:
        """Path, size and times of change of the table's files, and the place of the image in it."""
        return self._stamps + f"\0{self.column} {self.rows[index]}".encode()

    def fingerprint_parts(self) -> Iterator[bytes]:
        """The column and the numbers of the rows."""
        yield self.column.encode()
        yield np.asarray(self.rows, dtype=np.int64).tobytes()

    def subset(self, chosen: Bool[np.ndarray, " len"]) -> "Rows":
        """These rows only."""
        return Rows(self.folder, self.table, self.column, self.rows[chosen])


class ConcatenatedRows:
    """The images of several tables, one table after the other."""

    def __init__(self, tables: Sequence[Rows]) -> None:
        """Keep the rows of each table."""
        self.tables = list(tables)
        self.ends: list[int] = np.cumsum([len(rows) for rows in self.tables]).tolist()

    def __len__(self) -> int:
        """Number of images."""
        return self.ends[-1]

    def path(self, index: int) -> Path:
        """The path of an image in its table."""
        rows, place = self._find(index)
        return rows.path(place)

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of an image.

        Raises:
            UnreadableError: the cell is empty.
        """
        rows, place = self._find(index)
        return rows.read(place)

    def identity(self, index: int) -> bytes:
        """That of the image in its table."""
        rows, place = self._find(index)
        return rows.identity(place)

    def fingerprint_parts(self) -> Iterator[bytes]:
        """The columns and the numbers of the rows, table by table."""
        return (part for rows in self.tables for part in rows.fingerprint_parts())

    def _find(self, index: int) -> tuple[Rows, int]:
        """The table of an image, and the image's index in it."""
        number = bisect_right(self.ends, index)
        return self.tables[number], index - self.ends[number] + len(self.tables[number])
