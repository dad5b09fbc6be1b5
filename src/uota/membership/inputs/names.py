"""Groups and names of members, from any sequence of values."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from uota.console import printable
from uota.errors import UotaError

# Types of missing values other than None and NaN, by name: pandas is not imported for them.
MISSING = ("NAType", "NaTType")
# Longest text of a value that a message shows.
SHOWN = 40


class Numbered(NamedTuple):
    """Groups, numbered in the order in which they first occur.

    Attributes:
        number: of the group of each member.
        names: names of the groups.
    """

    number: Int64[ndarray, " members"]
    names: list[str]


class Numbering:
    """Numbers values in the order in which they first occur."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def add(self, values: Iterable[Any]) -> list[int]:
        """Return the numbers of values, which must be hashable."""
        numbers = self.numbers
        return [numbers.setdefault(value, len(numbers)) for value in values]

    def names(self) -> list[str]:
        """Return the names of all values so far."""
        return [as_text(value) for value in self.numbers]


def as_list(values: Any, what: str) -> list[Any]:
    """Return the values of a sequence, array, series or Arrow array as Python objects.

    Args:
        values: any iterable but a text or a mapping.
        what: what they are, for messages.

    Raises:
        UotaError: they are no such thing, or some of them are rows of values themselves.
    """
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__iter__"):
        raise UotaError(f"{what} are {_shown(values)}; give a sequence with one for each member")
    for name in ("to_pylist", "tolist", "to_list"):  # of Arrow; numpy, torch and pandas; and polars
        if hasattr(values, name):
            found = getattr(values, name)()
            return found if isinstance(found, list) else [found]
    return [_plain(value) for value in values]


def number_groups(groups: Any) -> Numbered:
    """Number the groups of members; equal values are one group, whatever their type.

    Raises:
        UotaError: a group is missing or is not hashable.
    """
    values = as_list(groups, "groups")
    numbering = Numbering()
    try:
        number = np.array(numbering.add(values), dtype=np.int64)
    except TypeError as error:
        row = next(row for row, value in enumerate(values) if not _is_hashable(value))
        raise UotaError(
            f"the group of row {row} is {_shown(values[row])}; give one text or number for each member"
        ) from error
    if any(map(is_missing, numbering.numbers)):
        rows = [row for row, value in enumerate(values) if is_missing(value)]
        raise UotaError(f"row {rows[0]} has no group{_and_more(rows)}; leave such rows out, embeddings and all")
    return Numbered(number, numbering.names())


def name_members(ids: Any, members: int) -> list[str] | None:
    """Return the names of members as text; None stays None.

    Raises:
        UotaError: there are more or fewer names than members, or one is missing.
    """
    if ids is None:
        return None
    values = as_list(ids, "ids")
    check_length("ids", len(values), members)
    rows = [row for row, value in enumerate(values) if is_missing(value)]
    if rows:
        raise UotaError(f"row {rows[0]} has no id{_and_more(rows)}; give an id for every row, or no ids")
    return [as_text(value) for value in values]


def check_length(what: str, found: int, members: int) -> None:
    """Check that there is one of something for each member.

    Raises:
        UotaError: there are more or fewer.
    """
    if found != members:
        raise UotaError(f"there are {found} {what} and {members} embeddings; give one for each, in the same order")


def first_repeated(ids: Sequence[str]) -> str | None:
    """Return the first name that occurs a second time."""
    seen: set[str] = set()
    return next((each for each in ids if each in seen or seen.add(each)), None)  # type: ignore[func-returns-value]


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, or what pandas uses for missing values."""
    return value is None or type(value).__name__ in MISSING or (isinstance(value, float) and value != value)


def as_text(value: Any) -> str:
    """Return a value as text; a whole number has no point, as columns with missing values turn numbers into floats.

    >>> as_text(3.0), as_text("cat")
    ('3', 'cat')
    """
    if isinstance(value, bytes):
        return os.fsdecode(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain(value: Any) -> Any:
    """Return a scalar of numpy, torch or Arrow as a Python object."""
    if hasattr(value, "as_py"):
        return value.as_py()
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _shown(value: Any) -> str:
    text = printable(repr(value))
    return f"{text[:SHOWN]}…" if len(text) > SHOWN else text


def _and_more(rows: list[int]) -> str:
    return f", and {len(rows) - 1} more" if len(rows) > 1 else ""
