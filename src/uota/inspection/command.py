"""The work of `uota inspect`: inspect what the command line names, and write the results."""

from pathlib import Path
from typing import Any

from uota.distributed import on_this_rank, rank
from uota.errors import UotaError
from uota.inspection.api import PAGE, TABLES, Inspection, inspect, require_suffix
from uota.io.outputs import check_writable, path_of
from uota.runs.folder import check_output
from uota.runs.run import Run

# Numbers of images drawn and inspected if only a picture of the gallery is written.
PICTURED, SCORED_FOR_PICTURE = 8, 128


def inspect_and_write(
    what: list[str],
    out: Path,
    table: str | None = None,
    quality: str | None = None,
    data: str | None = None,
    images: int | None = None,
    **settings: Any,
) -> Inspection:
    """Inspect, and write the page (or the gallery as a picture) and the other files that are asked for, on one rank.

    Args:
        what: a run's folder, and further runs whose curves are drawn; or one folder or name of images.
        out: file of the page or the picture.
        table: .parquet or .csv file with one row per scored view.
        quality: CSV file of duplicates and of pictures that are empty, dark, blurred, tiny and so on.
        data: a data set's name or a folder of images; None: `what`, the run's, or demo-scenes.
        images: number of images to inspect, or to draw if a picture is written; None: all, or `PICTURED`.
        settings: further arguments of `inspect`.

    Raises:
        UotaError: there are no such images or runs, the settings contradict each other, a file cannot be written.
    """
    run, other_runs, data = _named(what, data)
    if table is not None and Path(table).suffix not in TABLES:
        raise UotaError(f"{table} is neither a .parquet nor a .csv file; give --table one of these suffixes")
    require_suffix(out)
    written = [out, *(path_of(other) for other in (table, quality) if other is not None)]
    check_writable(*written)
    check_output(*written, data=data if data is not None or run is None else run.settings().data.source)
    page = out.suffix == PAGE
    most = images if page else max(images or PICTURED, SCORED_FOR_PICTURE)
    found = inspect(
        data,
        run,
        most=most,
        compare=page,
        other_runs=other_runs,
        **settings,
    )
    if rank() == 0:
        with on_this_rank():
            _write(found, out, images, table, quality)
    return found


def _write(found: Inspection, out: Path, images: int | None, table: str | None, quality: str | None) -> None:
    found.save(out, images or PICTURED)
    if table is not None:
        found.save(path_of(table))
    if quality is not None:
        found.quality.save(path_of(quality))


def _named(what: list[str], data: str | None) -> tuple[Run | None, list[Run], str | None]:
    """Return the run to inspect, the further runs, and the images."""
    runs = [Run(path_of(name)) for name in what]
    if len(runs) == 1 and not runs[0].settings_file.exists() and data is None:
        return None, [], what[0]
    for run in runs:
        run.settings()
    return runs[0] if runs else None, runs[1:], data
