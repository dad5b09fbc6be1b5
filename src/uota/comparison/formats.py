"""The table as a person, a paper or a program reads it. What was not evaluated is a dash, never a zero."""

import csv
from collections.abc import Callable
from html import escape
from io import StringIO
from itertools import starmap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uota.comparison.table import Comparison, Figure, Row

DASH = "–"
LEGEND = (
    "Per cent; in brackets the gain over the same method without arbitration, on the same seeds. "
    "±: 95 % interval over seeds (Student's t); p: paired t-test."
)
# Of columns that are words; the rest are figures.
WORDS = ("method", "settings")
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
LATEX |= {character: f"\\{character}" for character in "&%$#_{}"} | {"±": r"$\pm$", "–": "--", "<": "$<$"}
LATEX["×"] = r"$\times$"


def as_text(comparison: Comparison) -> str:
    """For a terminal, as wide as it needs to be."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in _headings(comparison):
        table.add_column(heading, justify="left" if heading in WORDS else "right", no_wrap=True)
    for cells in _cells(comparison):
        table.add_row(*map(Text, cells))
    console = Console(file=StringIO(), width=10_000, color_system=None)
    console.print(table)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join([*(line.rstrip() for line in lines), LEGEND])


def as_markdown(comparison: Comparison) -> str:
    """GitHub's tables."""
    headings = _headings(comparison)
    sides = ["---" if heading in WORDS else "---:" for heading in headings]
    lines = [[cell.replace("|", r"\|") for cell in cells] for cells in (headings, sides, *_cells(comparison))]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", LEGEND])


def as_csv(comparison: Comparison) -> str:
    """Plain values, a column each for figure, interval, gain, its interval and p; empty where there is none to tell."""
    records = comparison.records()
    used = [name for name in records[0] if any(record[name] not in (None, "", []) for record in records)]
    written = StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(used)
    for record in records:
        missing = {name: DASH for name in comparison.columns if record[name] is None}
        lists = {name: " ".join(map(str, record[name])) for name in ("seeds", "runs")}
        plain = record | missing | lists
        writer.writerow([_plain_cell(plain[name]) for name in used])
    return written.getvalue().rstrip("\n")


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
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    table = f"<caption>{escape(LEGEND)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<table class="comparison">\n{table}\n</table>' + (
        f'\n<ul class="comparison-notes">{notes}</ul>' if notes else ""
    )


def _headings(comparison: Comparison) -> list[str]:
    settings = ["settings"] if _tells_settings(comparison) else []
    return ["method", *settings, "epochs", "batch", "seeds", *comparison.columns]


def _cells(comparison: Comparison) -> list[list[str]]:
    return [_line(row, _tells_settings(comparison)) for row in comparison.rows]


def _tells_settings(comparison: Comparison) -> bool:
    return any(row.others for row in comparison.rows)


def _line(row: Row, settings: bool) -> list[str]:
    about = [row.method, *([row.others or DASH] if settings else []), row.epochs or DASH]
    return [*about, str(row.batch or DASH), str(len(row.seeds) or DASH), *map(_cell, row.figures)]


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return DASH
    return f"{figure.value} ({figure.gain})" if figure.gain else str(figure.value)


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


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
