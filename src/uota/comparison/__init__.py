"""Runs side by side, as a paper's table: `compare(folders)`, its `records()`, and `as_html` and others of it."""

from uota.comparison.formats import FORMATS, as_csv, as_html, as_latex, as_markdown, as_text
from uota.comparison.statistics import Estimate, Gain
from uota.comparison.table import Comparison, Figure, Row, compare

__all__ = [
    "FORMATS",
    "Comparison",
    "Estimate",
    "Figure",
    "Gain",
    "Row",
    "as_csv",
    "as_html",
    "as_latex",
    "as_markdown",
    "as_text",
    "compare",
]
