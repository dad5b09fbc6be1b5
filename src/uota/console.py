"""Output for people: text from outside, such as file names, is made harmless for terminals and spreadsheets."""

import logging
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

Item = TypeVar("Item")

# Characters that move a cursor, colour a terminal, change the direction of text or end a line.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
# Spreadsheets run a cell that starts with one of these as a formula (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")


def printable(text: Path | str) -> str:
    """Escape control characters and bytes that are not UTF-8, so that any terminal shows text on one line."""
    return CONTROL.sub(
        lambda found: found[0].encode("unicode_escape").decode(), _as_bytes(str(text)).decode(errors="backslashreplace")
    )


def _as_bytes(text: str) -> bytes:
    """Encode text; bytes of a file name that are not UTF-8 are lone surrogates in Python."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # other surrogates, such as those of JSON
        return text.encode(errors="replace")


def some_of(names: Sequence[str], at_most: int = 5, rest: str = "") -> str:
    """List the first of several names, and count the others.

    Args:
        names: names, ready to be shown.
        at_most: number of names to list.
        rest: text after the count, such as where the others are listed.

    >>> some_of(["a", "b", "c"], at_most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - at_most} more{rest}" if len(names) > at_most else ""
    return f"{', '.join(names[:at_most])}{more}"


def spreadsheet_cell(value: Any) -> Any:
    """Prepare a value for a CSV file: text that a spreadsheet would run as a formula gets an apostrophe before it.

    >>> spreadsheet_cell("=1+1"), spreadsheet_cell(-1.5), spreadsheet_cell("cat")
    ("'=1+1", -1.5, 'cat')
    """
    if not isinstance(value, str | Path):
        return value
    cell = printable(value)
    return f"'{cell}" if cell.startswith(FORMULA) or str(value).startswith(FORMULA) else cell


def make_streams_tolerant() -> None:
    """Print characters that the terminal cannot show as escapes, so that finished work never ends in an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class MessageHandler(logging.Handler):
    """Prints what the package logs as plain text: warnings on stderr, other messages on stdout."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message; an error, such as a closed pipe, is the caller's, as with `print`."""
        if record.levelno >= logging.WARNING:
            print(f"{record.levelname}: {record.getMessage()}", file=sys.stderr)
        else:
            print(record.getMessage())


@contextmanager
def show_messages() -> Iterator[None]:
    """Print what the package logs inside the block, as commands do; elsewhere that is the user's own choice."""
    logger = logging.getLogger("uota")
    if any(isinstance(handler, MessageHandler) for handler in logger.handlers):
        yield
        return
    handler, level = MessageHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


# Progress goes to stderr, so that stdout has results only.
PROGRESS = Console(stderr=True)


def track_progress(items: Iterable[Item], title: str, bar: bool = True, total: int | None = None) -> Iterable[Item]:
    """Iterate with a progress bar that disappears at the end; none where nobody watches, as in a log file.

    Args:
        items: what to iterate over.
        title: what is being done.
        bar: show the bar.
        total: number of items; None: they know.
    """
    from rich.progress import track

    watched = PROGRESS.is_terminal or PROGRESS.is_jupyter
    return track(items, title, total, transient=True, disable=not (bar and watched), console=PROGRESS)
