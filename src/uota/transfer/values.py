"""Lenient parsers for values of annotation files, which many programs write; each returns None for an unclear value."""

import math
import re
from typing import Any

WHOLE = re.compile(r"[+-]?\d{1,18}(\.0*)?", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
# Larger values are errors or an attack: they are far beyond the size of any image.
LARGEST_ID, LARGEST, LONGEST = 2**62, 1e13, 500
FLAGS = {"0": 0, "1": 1, "false": 0, "true": 1, "0.0": 0, "1.0": 1}


def parse_integer(value: Any) -> int | None:
    """Parse a whole number, also written as 640.0 or "640".

    >>> parse_integer(640.0), parse_integer("640"), parse_integer(640.5), parse_integer(True)
    (640, 640, None, None)
    """
    if isinstance(value, str) and WHOLE.fullmatch(text := value.strip(" ")):
        value = int(text.partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_ID
    return value if is_whole else None


def parse_number(value: Any) -> float | None:
    """Parse a finite number of plausible size, also written as a string.

    >>> parse_number(3), parse_number("2.5"), parse_number(float("nan")), parse_number(10**400)
    (3.0, 2.5, None, None)
    """
    if isinstance(value, str) and len(value) <= LONGEST and NUMBER.fullmatch(text := value.strip(" ")):
        value = float(text)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and -LARGEST <= value <= LARGEST else None


def parse_numbers(values: Any) -> list[float] | None:
    """Parse a list of numbers; None if any of them is not a number."""
    if not isinstance(values, list):
        return None
    if {*map(type, values)} <= {int, float}:  # fast path: a file has tens of millions of plain numbers
        try:
            return [*map(float, values)] if math.fsum(map(abs, values)) <= LARGEST else None
        except OverflowError:
            return None
    read = [parse_number(value) for value in values]
    found = [value for value in read if value is not None]
    return found if len(found) == len(read) else None


def parse_flag(value: Any) -> int | None:
    """Parse 0 or 1, also written as false or "0"; an absent flag is 0.

    >>> parse_flag(None), parse_flag("0"), parse_flag(True), parse_flag("crowd")
    (0, 0, 1, None)
    """
    if value is None:
        return 0
    return FLAGS.get(str(value).strip(" ").lower()) if isinstance(value, bool | int | float | str) else None


def parse_id(value: Any) -> int | str | None:
    """Parse an id into a whole number, however it is written, or else its text.

    >>> parse_id("000042"), parse_id(42.0), parse_id("img_42"), parse_id([42])
    (42, 42, 'img_42', None)
    """
    as_number = parse_integer(value)
    if as_number is not None:
        return as_number
    return value.strip(" ") if isinstance(value, str) and 0 < len(value.strip(" ")) <= LONGEST else None


def assign_numbers(ids: set[int | str]) -> dict[int | str, int]:
    """Map ids to numbers: themselves if all are integers, else their rank, since pycocotools needs one type."""
    if all(isinstance(each, int) for each in ids):
        return {each: int(each) for each in ids}
    return {each: rank for rank, each in enumerate(sorted(ids, key=str), 1)}
