"""Messages about a source: what opening left out, and which files cannot be read."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from uota.console import printable, some_of
from uota.data.source import Source

logger = logging.getLogger(__name__)

# A few damaged files are normal; a larger share of unreadable images calls for a warning.
MANY_UNREADABLE = 0.05


def describe_skipped(source: Source, at_most: int = 5, rest: str = "", known: Collection[Path] = ()) -> str | None:
    """One sentence that lists the files that could not be read; None if there are none.

    Args:
        source: the images.
        at_most: number of files to name.
        rest: where the full list is.
        known: files that are left out, as they were listed before.
    """
    skipped = [path for path in source.skipped if path not in known]
    if not skipped:
        return None
    named = some_of([_with_reason(path, source.reasons) for path in skipped], at_most, rest)
    return f"{len(skipped)} file(s) of {printable(source.name)} could not be read and were skipped: {named}"


def _with_reason(path: Path, reasons: Mapping[Path, str]) -> str:
    return f"{printable(path)} ({reasons[path]})" if path in reasons else printable(path)


def warn_skipped(*sources: Source) -> None:
    """Print which files could not be read, if any; a file of several sources is listed once."""
    known: set[Path] = set()
    for source in sources:
        if skipped := describe_skipped(source, known=known):
            logger.info(skipped)
        known.update(source.skipped)


def warn_left_out(*sources: Source, at_most: int = 5) -> None:
    """Print what opening left out of the sources and why, and warn if many images are unreadable.

    A sentence that holds for several sources is printed once.
    """
    for sentence in dict.fromkeys(sentence for source in sources for sentence in source.remarks(at_most)):
        logger.info(sentence)
    for source in {describe_skipped(source): source for source in sources}.values():
        warn_many_unreadable(source, len(source.reasons), source.total)  # as far as opening checked


def warn_many_unreadable(source: Source, unreadable: int, tried: int) -> bool:
    """Warn on stderr if a large share of the images cannot be read; returns whether that is so."""
    many = unreadable > MANY_UNREADABLE * tried
    if many:
        share = f"{unreadable} of {tried} images ({100 * unreadable / tried:.0f} %) of {printable(source.name)}"
        logger.warning(f"{share} cannot be read; {describe_skipped(source)}")
    return many
