"""Paths as text that a table can hold and a terminal can show, from which they can be read again."""

import re

from uota.console import CONTROL, FORMULA, spreadsheet_cell

# An apostrophe before a formula is what `spreadsheet_cell` adds, so that one that is part of a name is escaped.
ESCAPED = re.compile(rf"{CONTROL.pattern}|[\\\ud800-\udfff]|\A'(?='*[{re.escape(''.join(FORMULA))}])")
ESCAPE = re.compile(r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
APOSTROPHE = "\\x27"


def escape_path(text: str) -> str:
    r"""Escape control characters, bytes that are no text, backslashes, and apostrophes before formulas, reversibly.

    >>> escape_path("a\nb"), escape_path("a\\nb"), escape_path("caf\udce9"), escape_path("'=x")
    ('a\\nb', 'a\\\\nb', 'caf\\udce9', '\\x27=x')
    """
    return ESCAPED.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return APOSTROPHE if found[0] == "'" else found[0].encode("unicode_escape").decode()


def format_cell(text: str) -> str:
    """Prepare a path for a CSV file: `escape_path`, and an apostrophe before text that spreadsheets would run.

    >>> format_cell("=x.png"), format_cell("x.png")
    ("'=x.png", 'x.png')
    """
    cell: str = spreadsheet_cell(escape_path(text))
    return cell


def parse_cell(cell: str) -> str:
    """Give back the path that `format_cell` prepared, or a CSV file of what `escape_path` did."""
    text = cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
    return ESCAPE.sub(lambda found: found[0].encode().decode("unicode_escape"), text)
