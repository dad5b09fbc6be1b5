"""CSV files in one dialect: UTF-8, lines that end in LF, and cells that spreadsheets do not run as formulas."""

import csv
from collections.abc import Iterable
from io import StringIO, TextIOBase
from pathlib import Path
from typing import Any

from uota.console import spreadsheet_cell


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file.

    Args:
        path: file to write.
        rows: rows of cells, the first with the names of the columns. None is an empty cell, and text is escaped by
            `uota.console.spreadsheet_cell`.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        _write(file, rows)


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Format rows as the text that `write_csv` writes."""
    text = StringIO(newline="")
    _write(text, rows)
    return text.getvalue()


def _write(file: TextIOBase, rows: Iterable[Iterable[Any]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    for row in rows:
        writer.writerow(map(spreadsheet_cell, row))
