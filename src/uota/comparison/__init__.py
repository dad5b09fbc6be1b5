"""Comparison of runs as a table in the style of papers: `compare(folders)` and its formats, such as `as_html`."""

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
