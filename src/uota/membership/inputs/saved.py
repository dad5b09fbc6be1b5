"""Members in the rows of a data set that Hugging Face's `datasets` saved to disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from uota.data.packed.saved import load_saved, open_saved
from uota.errors import UotaError
from uota.membership.inputs.arrow_files import ROWS, ArrowTable, kinds_of
from uota.membership.inputs.collecting import say_guesses
from uota.membership.inputs.columns import Kind, Wanted, choose_names
from uota.membership.inputs.members import Members
from uota.membership.inputs.pictures import Looking, see
from uota.membership.inputs.tables import read_members


def read_saved(name: str, wanted: Wanted, looking: Looking) -> Members:
    """Read the members of all splits of a saved data set; without a column of embeddings, look at its images.

    Raises:
        UotaError: columns are missing or ambiguous, or images are asked for and there are none.
    """
    _, tables = load_saved(name)
    table = _arrow_table(name, tables)
    wanted = _with_label(table, next(iter(tables.values())), wanted)
    if wanted.embedding is not None or "vectors" in table.kinds.values():
        if looking.eyes != "auto":
            raise UotaError(f"{name} has embeddings, which need no eyes; leave --eyes out, or save it without them")
        return read_members(table, wanted)
    source = open_saved(name, "all", looking.options)
    columns = choose_names(name, table.kinds, wanted)
    say_guesses(name, columns.guessed)
    parts = list(table.parts(columns, lambda: None))
    groups = [group for part in parts for group in part.groups]
    if columns.id is None:
        return see(source, groups, [f"row {row}" for row in range(len(source))], looking, "id")
    return see(source, groups, [str(each) for part in parts for each in part.ids or ()], looking, "id")


def _arrow_table(name: str, tables: Mapping[str, Any]) -> ArrowTable:
    first = next(iter(tables.values()))

    def batches(columns: Sequence[str]) -> Iterator[Any]:
        for table in tables.values():
            yield from table.select_columns(columns).with_format("arrow").iter(ROWS)

    kinds: dict[str, Kind] = kinds_of(first.with_format("arrow")[:0].schema, name)
    return ArrowTable(name, kinds, sum(map(len, tables.values())), batches, _class_names(first))


def _class_names(table: Any) -> dict[str, Callable[[Any], Any]]:
    """Return what turns a number into the name of its class, by column; a number without a name becomes None."""

    def name_of(names: list[str]) -> Callable[[Any], Any]:
        return lambda number: names[number] if number is not None and 0 <= number < len(names) else None

    return {column: name_of(table.features[column].names) for column in _labels(table)}


def _labels(table: Any) -> list[str]:
    return [column for column, feature in table.features.items() if type(feature).__name__ == "ClassLabel"]


def _with_label(table: ArrowTable, rows: Any, wanted: Wanted) -> Wanted:
    """Take the only column of class labels for the groups, if none is named."""
    labels = _labels(rows)
    if wanted.group is not None or len(labels) != 1:
        return wanted
    say_guesses(table.name, {"group": labels[0]})
    return replace(wanted, group=labels[0])
