"""CSV files as this package writes them all: UTF-8, lines that end in LF, and no cell that a spreadsheet would run."""

import csv
from collections.abc import Iterable
from io import StringIO, TextIOBase
from pathlib import Path
from typing import Any

from uota.console import spreadsheet_cell


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file.

    Args:
        path: of the file.
        rows: the first has the names of the columns. Numbers stay numbers, None is an empty cell, text is made harmless
            by `uota.console.spreadsheet_cell`.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        _write(file, rows)


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """What `write_csv` writes."""
    text = StringIO(newline="")
    _write(text, rows)
    return text.getvalue()


def _write(file: TextIOBase, rows: Iterable[Iterable[Any]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    for row in rows:
        writer.writerow(map(spreadsheet_cell, row))
