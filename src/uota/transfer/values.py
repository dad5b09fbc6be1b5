"""Values of annotation files, which many programs write: a reading for each kind, None where it is unclear."""

import math
import re
from typing import Any

WHOLE = re.compile(r"[+-]?\d{1,18}(\.0*)?", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
# Numbers beyond are errors, or an attack: no picture has such sides, and float32 still tells its pixels apart.
LARGEST_ID, LARGEST, LONGEST = 2**62, 1e13, 500
FLAGS = {"0": 0, "1": 1, "false": 0, "true": 1, "0.0": 0, "1.0": 1}


def whole_number(value: Any) -> int | None:
    """A whole number, also where it is written as 640.0 or "640".

    >>> whole_number(640.0), whole_number("640"), whole_number(640.5), whole_number(True)
    (640, 640, None, None)
    """
    if isinstance(value, str) and WHOLE.fullmatch(value.strip()):
        value = int(value.partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_ID
    return value if is_whole else None


def number(value: Any) -> float | None:
    """A finite number of a size that occurs, also where it is written as text.

    >>> number(3), number("2.5"), number(float("nan")), number(10**400)
    (3.0, 2.5, None, None)
    """
    if isinstance(value, str) and len(value) <= LONGEST and NUMBER.fullmatch(value.strip()):
        value = float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and -LARGEST <= value <= LARGEST else None


def numbers(values: Any) -> list[float] | None:
    """A list of numbers; None if one of them is none."""
    if not isinstance(values, list):
        return None
    if {*map(type, values)} <= {int, float}:  # tens of millions of them are: not one by one
        try:
            return [*map(float, values)] if math.fsum(map(abs, values)) <= LARGEST else None
        except OverflowError:
            return None
    read = [number(value) for value in values]
    found = [value for value in read if value is not None]
    return found if len(found) == len(read) else None


def flag(value: Any) -> int | None:
    """0 or 1, also where it is written as false or "0"; what is absent is 0.

    >>> flag(None), flag("0"), flag(True), flag("crowd")
    (0, 0, 1, None)
    """
    if value is None:
        return 0
    return FLAGS.get(str(value).strip().lower()) if isinstance(value, bool | int | float | str) else None


def identity(value: Any) -> int | str | None:
    """What an id is known by: a whole number however it is written, else its text.

    >>> identity("000042"), identity(42.0), identity("img_42"), identity([42])
    (42, 42, 'img_42', None)
    """
    as_number = whole_number(value)
    if as_number is not None:
        return as_number
    return value.strip() if isinstance(value, str) and 0 < len(value.strip()) <= LONGEST else None


def numbered(identities: set[int | str]) -> dict[int | str, int]:
    """A number for each: its own where all have one, else by their order, as pycocotools needs all of one type."""
    if all(isinstance(each, int) for each in identities):
        return {each: int(each) for each in identities}
    return {each: place for place, each in enumerate(sorted(identities, key=str), 1)}
