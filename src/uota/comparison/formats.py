"""Formats of the table: plain text, Markdown, CSV, LaTeX and HTML. Missing evaluations are shown as a dash."""

import re
from collections.abc import Callable
from html import escape
from io import StringIO
from itertools import starmap
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uota.comparison.names import short_names, shorten
from uota.comparison.table import Comparison, Figure, Row
from uota.console import printable, some_of
from uota.io.csv_files import csv_text

DASH = "–"
LEGEND = (
    "Per cent; in brackets the gain over the same method without arbitration, on the same seeds. "
    "±: 95 % interval over seeds (Student's t); p: paired t-test."
)
# Columns of text, which are left-aligned; the others are figures.
WORDS = ("method", "settings", "runs")
MAX_RUNS = 3  # named in a row; all are in the CSV
MAX_CELL = 300  # characters of a cell
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", '"': r"\symbol{34}"}
LATEX |= {character: f"\\{character}" for character in "&%$#_{}"} | {"±": r"$\pm$", "–": "--", "×": r"$\times$"}
LATEX |= {character: f"${character}$" for character in "<>|"}
# After `\\`, LaTeX would read these as its optional arguments.
LATEX |= {character: f"{{{character}}}" for character in "*[]"}
LIGATURES = {"--", "''", "``", ",,", "?`", "!`"}
# Inline markup of GitHub's Markdown, and what it would turn into links.
MARKDOWN = re.compile(r"[\\`*_\[\]<>|~&$@]|:(?=//)|(?<=www)\.")


def as_text(comparison: Comparison) -> str:
    """Format the table for a terminal, without wrapping lines."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in _headings(comparison):
        table.add_column(heading, justify="left" if heading in WORDS else "right", no_wrap=True)
    for cells in _cells(comparison):
        table.add_row(*map(Text, cells))
    # Wide enough for the text, of which a character may take two cells, and for the padding between columns.
    width = sum(
        2 * max(map(len, column)) + 4 for column in zip(_headings(comparison), *_cells(comparison), strict=True)
    )
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(table)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join([*(line.rstrip() for line in lines), LEGEND])


def as_markdown(comparison: Comparison) -> str:
    """Format the table in GitHub's Markdown."""
    headings = _headings(comparison)
    sides = ["---" if heading in WORDS else "---:" for heading in headings]
    head, *rows = [[_markdown(cell) for cell in cells] for cells in (headings, *_cells(comparison))]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in (head, sides, *rows)), "", LEGEND])


def _markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\g<0>", text)


def as_csv(comparison: Comparison) -> str:
    """Format the table as CSV, with columns for each figure, its interval, its gain, the gain's interval and p-value.

    Missing figures are a dash, other missing values are empty. Text that a spreadsheet would run as a formula is
    escaped with an apostrophe.
    """
    records = comparison.records()
    used = [name for name in records[0] if any(record[name] not in (None, "", []) for record in records)]
    rows: list[list[Any]] = [used]
    for record in records:
        missing = {name: DASH for name in comparison.columns if record[name] is None}
        lists = {name: " ".join(map(str, record[name])) for name in ("seeds", "runs")}
        plain = record | missing | lists
        rows.append([_plain_cell(plain[name]) for name in used])
    return csv_text(rows).rstrip("\n")


def _plain_cell(value: Any) -> Any:
    """Round floats to four decimals, which removes the rounding errors of float32."""
    return "" if value is None else round(value, 4) if isinstance(value, float) else value


def as_latex(comparison: Comparison) -> str:
    """Format the table as a LaTeX tabular with booktabs rules."""
    headings = _headings(comparison)
    sides = "".join("l" if heading in WORDS else "r" for heading in headings)
    lines = [" & ".join(map(_latex, cells)) + r" \\" for cells in (headings, *_cells(comparison))]
    rules = [f"% {LEGEND}", rf"\begin{{tabular}}{{{sides}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*rules, *lines[1:], r"\bottomrule", r"\end{tabular}"])


def as_html(comparison: Comparison) -> str:
    """Format the table as an unstyled HTML fragment, with its legend and notes."""
    headings = _headings(comparison)
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    rows = ["".join(starmap(_html_cell, zip(headings, cells, strict=True))) for cells in _cells(comparison)]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    notes = "".join(f"<li>{escape(printable(note))}</li>" for note in comparison.notes)
    table = f"<caption>{escape(LEGEND)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<table class="comparison">\n{table}\n</table>' + (
        f'\n<ul class="comparison-notes">{notes}</ul>' if notes else ""
    )


def _headings(comparison: Comparison) -> list[str]:
    settings = ["settings"] if _has_settings(comparison) else []
    return ["method", *settings, "runs", "epochs", "batch", "seeds", *comparison.columns]


def _cells(comparison: Comparison) -> list[list[str]]:
    names = short_names([entry.folder for row in comparison.rows for entry in row.entries])
    return [_line(row, _has_settings(comparison), names) for row in comparison.lines]


def _has_settings(comparison: Comparison) -> bool:
    return any(row.others for row in comparison.lines)


def _line(row: Row, settings: bool, names: dict[Path, str]) -> list[str]:
    runs = some_of([names[entry.folder] for entry in row.entries], MAX_RUNS) or DASH
    about = [row.method, *([row.others or DASH] if settings else []), runs, row.epochs or DASH]
    cells = [*about, str(row.batch or DASH), str(len(row.seeds) or DASH), *map(_cell, row.figures)]
    return [shorten(cell, MAX_CELL) for cell in cells]


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return DASH
    return f"{figure.value} ({figure.gain})" if figure.gain else str(figure.value)


def _latex(text: str) -> str:
    pairs = zip(text, f"{text[1:]} ", strict=False)
    return "".join(LATEX.get(one, one) + ("{}" if one + next_one in LIGATURES else "") for one, next_one in pairs)


def _html_cell(heading: str, cell: str) -> str:
    if heading == "method":
        return f'<th scope="row">{escape(cell)}</th>'
    return f"<td>{escape(cell)}</td>"


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "csv": as_csv,
    "latex": as_latex,
    "html": as_html,
}
