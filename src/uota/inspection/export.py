"""Export of the table of views to Parquet and CSV."""

from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from uota.errors import UotaError
from uota.inspection.table import ViewTable
from uota.io.atomic import atomic_write
from uota.io.csv_files import write_csv


def write_table(table: ViewTable, out: Path) -> None:
    """Write one row per view, as .parquet or .csv (which escapes spreadsheet formulas with an apostrophe).

    Raises:
        UotaError: the file cannot be written, or pyarrow is not installed.
    """
    columns = table.columns()
    if out.suffix == ".csv":
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        with atomic_write(out) as unfinished:
            write_csv(unfinished, chain([columns], rows))
        return
    if not find_spec("pyarrow"):
        raise UotaError("a .parquet file needs pyarrow: pip install 'uota[parquet]', or give a .csv file")
    import pyarrow
    from pyarrow.parquet import write_table as write

    with atomic_write(out) as unfinished:
        write(pyarrow.table(columns), unfinished)
