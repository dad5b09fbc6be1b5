"""Paths as text that a table can hold and a terminal can show, from which they can be read again."""

import re

from uota.console import CONTROL, FORMULA_LIKE, spreadsheet_cell

ESCAPED = re.compile(rf"{CONTROL.pattern}|[\\\ud800-\udfff]")
ESCAPE = re.compile(r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def escape_path(text: str) -> str:
    r"""Escape control characters, backslashes and bytes that are no text, so that `parse_cell` gives the path back.

    >>> escape_path("a\nb"), escape_path("a\\nb"), escape_path("caf\udce9")
    ('a\\nb', 'a\\\\nb', 'caf\\udce9')
    """
    return ESCAPED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def format_cell(text: str) -> str:
    r"""Prepare text for a list of exact paths, so that `parse_cell` gives it back.

    It is `escape_path`, and an apostrophe before text that spreadsheets would run.

    >>> format_cell("=x.png"), format_cell("'=x.png"), format_cell("a\nb"), format_cell("a\\nb")
    ("'=x.png", "''=x.png", 'a\\nb', 'a\\\\nb')
    """
    cell: str = spreadsheet_cell(escape_path(text))
    return cell


def parse_cell(cell: str) -> str:
    """Give back the text that `format_cell` prepared, or a CSV file of what `escape_path` did."""
    text = cell[1:] if cell.startswith("'") and FORMULA_LIKE.match(cell) else cell
    return ESCAPE.sub(lambda found: found[0].encode().decode("unicode_escape"), text)
