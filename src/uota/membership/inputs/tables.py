"""Members in the rows of a table, whatever its format, read part by part."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from uota.membership.inputs.arrow_files import open_arrow, open_parquet
from uota.membership.inputs.collecting import Collector, Part, say_guesses
from uota.membership.inputs.columns import Columns, Kind, Wanted, choose_columns
from uota.membership.inputs.csv_tables import open_csv
from uota.membership.inputs.members import Members


@runtime_checkable
class Table(Protocol):
    """A table that is read part by part.

    Attributes:
        name: for messages.
        kinds: kind of each column.
    """

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> Mapping[str, Kind]: ...

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def parts(self, columns: Columns, width: Callable[[], int | None]) -> Iterator[Part]:
        """Read the rows in their order; `width` says how many numbers embeddings have, once one was read."""
        ...


OPEN: Mapping[str, Callable[[Path], Table]] = {
    ".parquet": open_parquet,
    **dict.fromkeys((".arrow", ".feather", ".ipc"), open_arrow),
    ".csv": open_csv,
}


def is_table(path: Path) -> bool:
    """Whether this is the name of a table, by its suffix."""
    return path.suffix.lower() in OPEN and not path.is_dir()


def open_table(path: Path) -> Table:
    """Open a table by its suffix.

    Raises:
        UotaError: it cannot be read.
    """
    return OPEN[path.suffix.lower()](path)


def read_members(table: Table, wanted: Wanted) -> Members:
    """Read the members of a table.

    Raises:
        UotaError: columns are missing or ambiguous, embeddings are of different lengths, or there are no rows.
    """
    columns = choose_columns(table.name, table.kinds, wanted)
    say_guesses(table.name, columns.guessed)
    collector = Collector(table.name, len(table))
    for part in table.parts(columns, lambda: collector.width):
        collector.add(part)
    return collector.members()


def suffixes() -> Sequence[str]:
    """Return the suffixes of tables."""
    return list(OPEN)
