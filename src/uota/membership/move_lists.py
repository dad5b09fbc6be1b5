"""Lists of files to move, as CSV: those that a person approved, and those that undo them."""

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from uota.console import printable
from uota.errors import UotaError
from uota.io.atomic import atomic_write
from uota.io.reading import read_text
from uota.membership.path_cells import format_cell, parse_cell

# Columns: a file, the folder of the group that it belongs to, and what a person thinks of where it is.
FILE, TO, MARK = "file", "to", "mark"
# Columns of a list of exact paths, such as one that undoes moves: where a file goes, and the folder that was made when
# it was moved away from there, which is removed once it is empty.
TO_FILE, MADE = "to_file", "made_folder"
WRONG, RIGHT = "wrong", "right"
# Bytes of the largest list that is read.
LIST_BYTES = 2**30


@dataclass(frozen=True)
class Move:
    """A file's move. Paths are relative to the folder of groups, with slashes.

    Attributes:
        source: where the file is.
        target: where it goes.
        made: the outermost folder that has to be made for it; empty if there is none.
    """

    source: str
    target: str
    made: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a list.

    Attributes:
        line: its line in the file.
        file: the file to move.
        to: the folder of a group, or an exact path in a list of those.
        made: folder to remove once it is empty; only in a list of exact paths.
    """

    line: int
    file: str
    to: str
    made: str = ""


@dataclass(frozen=True)
class MoveList:
    """What a list says.

    Attributes:
        rows: files to move.
        exact: whether rows have exact paths, instead of folders of groups.
        kept: number of rows that are not marked wrong.
    """

    rows: tuple[Row, ...]
    exact: bool
    kept: int


def read_list(path: Path) -> MoveList:
    """Read a list of files to move.

    Cells are separated by commas, semicolons or tabs. Other columns than those named above are ignored.

    Raises:
        UotaError: it cannot be read, has no such columns, or has a row that is too short or has an unknown mark.
    """
    header, records = _records(path)
    if FILE not in header or not {TO, TO_FILE} & set(header):
        raise UotaError(
            f"{printable(path)} has the columns {printable(', '.join(header)) or '(none)'}; a list of moves has "
            f"{FILE} and {TO}, the folder of the group that a file belongs to"
        )
    exact = TO_FILE in header
    rows, kept = [], 0
    for line, record in records:
        if _is_wrong(record, path, line):
            rows.append(_row(record, exact, line))
        else:
            kept += 1
    return MoveList(tuple(rows), exact, kept)


def _records(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read the names of columns, and rows with their lines."""
    try:
        text = read_text(path, LIST_BYTES)
        first = text.partition("\n")[0]
        separator = next((each for each in ",;\t" if FILE in _names(first.split(each))), ",")
        reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
        header = _names(next(reader, []))
        records = [(reader.line_num, _record(header, cells, path, reader.line_num)) for cells in reader if any(cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise UotaError(f"{printable(path)} cannot be read: {why}; give a CSV file in UTF-8") from error
    return header, records


def _names(cells: Iterable[str]) -> list[str]:
    return [cell.strip().strip('"').lower() for cell in cells]


def _record(header: list[str], cells: list[str], path: Path, line: int) -> dict[str, str]:
    if len(cells) != len(header):
        raise UotaError(
            f"{printable(path)}, line {line}: {len(cells)} cells instead of {len(header)}; the list is damaged or cut "
            "off, so write it again"
        )
    return dict(zip(header, cells, strict=True))


def _is_wrong(record: dict[str, str], path: Path, line: int) -> bool:
    mark = record.get(MARK, WRONG).strip().lower()
    if mark not in (WRONG, RIGHT, ""):
        raise UotaError(
            f"{printable(path)}, line {line}: the mark '{printable(mark)}' is unknown; write {WRONG} or {RIGHT}"
        )
    return mark == WRONG


def _row(record: dict[str, str], exact: bool, line: int) -> Row:
    if not exact:
        return Row(line, record[FILE], record[TO])
    made = record.get(MADE, "")
    return Row(line, parse_cell(record[FILE]), parse_cell(record[TO_FILE]), parse_cell(made))


def write_undo(path: Path, moves: Iterable[Move]) -> None:
    """Write the list that undoes moves, and wait until it is on the disk.

    Raises:
        UotaError: it cannot be written.
    """
    with atomic_write(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(_undo_rows(moves))
        file.flush()
        os.fsync(file.fileno())


def _undo_rows(moves: Iterable[Move]) -> Iterator[tuple[str, ...]]:
    yield FILE, TO_FILE, MADE
    for move in moves:
        yield format_cell(move.target), format_cell(move.source), format_cell(move.made)
