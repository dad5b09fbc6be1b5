"""The table as a person, a paper or a program reads it. What was not evaluated is a dash, never a zero."""

import re
from collections.abc import Callable
from html import escape
from io import StringIO
from itertools import starmap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uota.comparison.names import brief
from uota.comparison.table import Comparison, Figure, Row
from uota.console import printable
from uota.io.csv_files import csv_text

DASH = "–"
LEGEND = (
    "Per cent; in brackets the gain over the same method without arbitration, on the same seeds. "
    "±: 95 % interval over seeds (Student's t); p: paired t-test."
)
# Of columns that are words; the rest are figures.
WORDS = ("method", "settings")
LONGEST = 300  # characters of a cell
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", '"': r"\symbol{34}"}
LATEX |= {character: f"\\{character}" for character in "&%$#_{}"} | {"±": r"$\pm$", "–": "--", "×": r"$\times$"}
LATEX |= {character: f"${character}$" for character in "<>|"}
# After the end of a line these would be its options.
LATEX |= {character: f"{{{character}}}" for character in "*[]"}
LIGATURES = {"--", "''", "``", ",,", "?`", "!`"}
# What is markup within a line of GitHub's Markdown, and what it makes links of.
MARKDOWN = re.compile(r"[\\`*_\[\]<>|~&$@]|:(?=//)|(?<=www)\.")


def as_text(comparison: Comparison) -> str:
    """For a terminal, as wide as it needs to be."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in _headings(comparison):
        table.add_column(heading, justify="left" if heading in WORDS else "right", no_wrap=True)
    for cells in _cells(comparison):
        table.add_row(*map(Text, cells))
    # As wide as its text, of which a character may take two places, and the space between columns.
    width = sum(
        2 * max(map(len, column)) + 4 for column in zip(_headings(comparison), *_cells(comparison), strict=True)
    )
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(table)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join([*(line.rstrip() for line in lines), LEGEND])


def as_markdown(comparison: Comparison) -> str:
    """GitHub's tables."""
    headings = _headings(comparison)
    sides = ["---" if heading in WORDS else "---:" for heading in headings]
    head, *rows = [[_markdown(cell) for cell in cells] for cells in (headings, *_cells(comparison))]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in (head, sides, *rows)), "", LEGEND])


def _markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\g<0>", text)


def as_csv(comparison: Comparison) -> str:
    """Plain values, a column each for figure, interval, gain, its interval and p; empty where there is none to tell.

    Text that a spreadsheet would run has an apostrophe before it.
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
    """Figures without the noise of float32."""
    return "" if value is None else round(value, 4) if isinstance(value, float) else value


def as_latex(comparison: Comparison) -> str:
    """A tabular with booktabs' rules."""
    headings = _headings(comparison)
    sides = "".join("l" if heading in WORDS else "r" for heading in headings)
    lines = [" & ".join(map(_latex, cells)) + r" \\" for cells in (headings, *_cells(comparison))]
    rules = [f"% {LEGEND}", rf"\begin{{tabular}}{{{sides}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*rules, *lines[1:], r"\bottomrule", r"\end{tabular}"])


def as_html(comparison: Comparison) -> str:
    """A table to stand in a page, with its legend and notes, and no style of its own."""
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
    settings = ["settings"] if _tells_settings(comparison) else []
    return ["method", *settings, "epochs", "batch", "seeds", *comparison.columns]


def _cells(comparison: Comparison) -> list[list[str]]:
    return [_line(row, _tells_settings(comparison)) for row in comparison.lines]


def _tells_settings(comparison: Comparison) -> bool:
    return any(row.others for row in comparison.lines)


def _line(row: Row, settings: bool) -> list[str]:
    about = [row.method, *([row.others or DASH] if settings else []), row.epochs or DASH]
    cells = [*about, str(row.batch or DASH), str(len(row.seeds) or DASH), *map(_cell, row.figures)]
    return [brief(cell, LONGEST) for cell in cells]


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
