"""Members in the rows of a .npy file, with their groups in another file."""

from pathlib import Path

import numpy as np
from numpy import ndarray

from uota.console import printable
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.io.reading import open_regular
from uota.membership.inputs.collecting import Collector, Part, say_guesses
from uota.membership.inputs.columns import Columns, Wanted, choose_names
from uota.membership.inputs.members import Members
from uota.membership.inputs.tables import is_table, open_table, suffixes

# Rows that are read at once.
ROWS = 2**14


def is_array(path: Path) -> bool:
    """Whether this is the name of a .npy file."""
    return path.suffix.lower() == ".npy" and not path.is_dir()


def read_array(path: Path, wanted: Wanted) -> Members:
    """Read the rows of an array, and their groups from a table that has as many rows.

    Args:
        path: a .npy file of rows of numbers.
        wanted: the group is a column of the table of the same name beside it, or `TABLE:COLUMN`, or another .npy file.

    Raises:
        UotaError: there is no such table or column, lengths differ, or the array has no rows of numbers.
    """
    if wanted.embedding is not None:
        raise UotaError(f"{printable(path)} has nothing but embeddings; leave --embedding out")
    vectors = _load(path)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise UotaError(
            f"{printable(path)} has {vectors.dtype} of shape {vectors.shape}; give one row of numbers for each member"
        )
    other, groups, ids = _groups(path, wanted)
    if len(groups) != len(vectors):
        raise UotaError(
            f"{printable(path)} has {len(vectors)} rows and {printable(other)} {len(groups)}; give a group for each row"
        )
    collector = Collector(str(path), len(vectors))
    single = np.float16 if vectors.dtype == np.float16 else np.float32
    for first in range(0, len(vectors), ROWS):
        rows = slice(first, first + ROWS)
        with np.errstate(over="ignore"):
            part = vectors[rows].astype(single)
        collector.add(Part(part, groups[rows], None if ids is None else ids[rows]))
    return collector.members()


def _groups(path: Path, wanted: Wanted) -> tuple[Path, list[object], list[object] | None]:
    """Return the file that has the groups, the groups, and the names of members if it has any."""
    group = wanted.group or ""
    if is_array(Path(group)):
        found = _load(path_of(group))
        if found.ndim != 1:
            raise UotaError(f"{printable(group)} has the shape {found.shape}; give one group for each row")
        if wanted.id is not None:
            raise UotaError(f"--id names a column, and the groups are in {printable(group)}; give --group TABLE:COLUMN")
        return path_of(group), found.tolist(), None
    file, _, column = group.rpartition(":")
    table = open_table(path_of(file) if file and is_table(Path(file)) else _beside(path))
    named = (column or None) if file else wanted.group
    columns = choose_names(table.name, table.kinds, Wanted(named, None, wanted.id))
    say_guesses(table.name, columns.guessed)
    parts = list(table.parts(Columns((), columns.group, columns.id, {}), lambda: None))
    ids = None if columns.id is None else [each for part in parts for each in part.ids or ()]
    return Path(table.name), [each for part in parts for each in part.groups], ids


def table_of(path: Path, group: str | None) -> Path | None:
    """Return the file that has the groups of an array; None: there is none."""
    if group and is_array(Path(group)):
        return path_of(group)
    file = (group or "").rpartition(":")[0]
    if file and is_table(Path(file)):
        return path_of(file)
    return next((path.with_suffix(suffix) for suffix in suffixes() if path.with_suffix(suffix).is_file()), None)


def _beside(path: Path) -> Path:
    found = table_of(path, None)
    if found is None:
        raise UotaError(
            f"there are no groups for {printable(path)}: name their column by --group TABLE:COLUMN (.csv or .parquet), "
            f"or put {printable(path.with_suffix('.csv').name)} beside it"
        )
    return found


def _load(path: Path) -> ndarray:
    """Map a .npy file into memory, whose header may not name Python objects."""
    try:
        with open(open_regular(path), "rb"):
            array: ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = printable(str(getattr(error, "strerror", None) or error).partition("\n")[0])
        raise UotaError(f"{printable(path)} cannot be read ({why}); give an array that numpy.save wrote") from error
    return array
