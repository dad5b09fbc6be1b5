"""Which columns of a table have the embeddings, the groups and the names of members."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from uota.console import printable, some_of
from uota.errors import UotaError

# What a column has: lists of numbers; floating-point numbers; what may be a group's name; anything else. Columns of
# CSV files may be any of them, but for lists: those are told by their first cell.
Kind = Literal["vectors", "numbers", "names", "other"]
# Columns that are taken for the names of members if there is exactly one of them.
ID_NAMES = {"id", "file", "path", "filename", "file_name", "filepath", "image", "name", "key", "uri", "url"}
# Columns that a message lists.
LISTED = 20
NUMBERED = re.compile(r"(.*?)(\d+)", re.DOTALL)


@dataclass(frozen=True)
class Columns:
    """Columns of a table.

    Attributes:
        embedding: one column of lists, or several of numbers.
        group: column of groups.
        id: column of names; None: members are known by their row.
        guessed: what was not named, and is the only column that it can be, by option.
    """

    embedding: tuple[str, ...]
    group: str
    id: str | None
    guessed: Mapping[str, str]


@dataclass(frozen=True)
class Wanted:
    """Columns by the names that a user gives; None: to be guessed.

    Attributes:
        group: column of groups.
        embedding: column of lists, or the prefix of numbered columns.
        id: column of names.
    """

    group: str | None = None
    embedding: str | None = None
    id: str | None = None


def choose_columns(table: str, kinds: Mapping[str, Kind], wanted: Wanted) -> Columns:
    """Find the columns that a user names, and guess others where there is one candidate.

    Args:
        table: name of the table, for messages.
        kinds: kind of each column.
        wanted: the names.

    Raises:
        UotaError: there is no such column, or there are several or no candidates; the message lists the columns.
    """
    guessed: dict[str, str] = {}
    embedding, prefix = find_embedding(table, kinds, wanted.embedding)
    if wanted.embedding is None:
        guessed["embedding"] = prefix
    return _with_names(table, kinds, wanted, embedding, guessed)


def choose_names(table: str, kinds: Mapping[str, Kind], wanted: Wanted) -> Columns:
    """Find the columns of groups and names alone, of a table that has no embeddings.

    Raises:
        UotaError: as `choose_columns`.
    """
    return _with_names(table, kinds, wanted, (), {})


def _with_names(
    table: str, kinds: Mapping[str, Kind], wanted: Wanted, embedding: tuple[str, ...], guessed: dict[str, str]
) -> Columns:
    others = {name: kind for name, kind in kinds.items() if name not in embedding}
    ids = _named_or_like_an_id(table, others, wanted, guessed)
    if wanted.group is not None:
        group = _existing(table, others, wanted.group, "group")
        if others[group] in ("vectors", "other"):
            raise UotaError(
                f"--group {printable(group)} of {printable(table)} is a column of lists or the like; "
                "give a column of texts or numbers"
            )
    else:
        group = _only(
            table, others, [name for name, kind in others.items() if kind == "names" and name != ids], "group"
        )
        guessed["group"] = group
    return Columns(embedding, group, ids if ids != group else None, guessed)


def find_embedding(table: str, kinds: Mapping[str, Kind], wanted: str | None) -> tuple[tuple[str, ...], str]:
    """Return the columns of the embeddings, and their name or prefix.

    Raises:
        UotaError: as `choose_columns`.
    """
    vectors = [name for name, kind in kinds.items() if kind == "vectors"]
    prefixes = _prefixes(kinds)
    if wanted is None:
        wanted = _only(table, kinds, vectors or list(prefixes), "embedding")
    if wanted in vectors:
        return (wanted,), wanted
    if wanted in prefixes:
        return prefixes[wanted], wanted
    existing = (
        " is a column of neither lists of numbers nor" if wanted in kinds else " names neither a column of lists nor"
    )
    raise UotaError(
        f"--embedding {printable(wanted)}{existing} the prefix of numbered columns of {printable(table)}, "
        f"which has {_listed(kinds)}"
    )


def _prefixes(kinds: Mapping[str, Kind]) -> dict[str, tuple[str, ...]]:
    """Return the columns of numbers by the prefix before the number in their name, two or more of each."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name, kind in kinds.items():
        parts = NUMBERED.fullmatch(name)
        if parts and kind in ("numbers", "names"):
            found.setdefault(parts[1], []).append((int(parts[2]), name))
    return {prefix: tuple(name for _, name in sorted(each)) for prefix, each in found.items() if len(each) > 1}


def _named_or_like_an_id(table: str, kinds: Mapping[str, Kind], wanted: Wanted, guessed: dict[str, str]) -> str | None:
    if wanted.id is not None:
        return _existing(table, kinds, wanted.id, "id")
    like = [
        name for name, kind in kinds.items() if kind == "names" and name.lower() in ID_NAMES and name != wanted.group
    ]
    if len(like) != 1:
        return None
    guessed["id"] = like[0]
    return like[0]


def _existing(table: str, kinds: Mapping[str, Kind], name: str, option: str) -> str:
    if name not in kinds:
        raise UotaError(f"--{option} {printable(name)} is no column of {printable(table)}, which has {_listed(kinds)}")
    return name


def _only(table: str, kinds: Mapping[str, Kind], candidates: Sequence[str], option: str) -> str:
    if len(candidates) == 1:
        return candidates[0]
    several = "several columns" if candidates else "no column"
    raise UotaError(
        f"{printable(table)} has {several} that may be meant by --{option}; name one of its columns: {_listed(kinds)}"
    )


def _listed(kinds: Mapping[str, Kind]) -> str:
    return some_of([printable(name) for name in kinds], LISTED) or "no columns"
