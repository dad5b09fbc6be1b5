"""`uota inspect`: what a person names on the command line, looked at and written."""

from pathlib import Path
from typing import Any

from uota.errors import UotaError
from uota.inspection.api import PAGE, SHOWN, TABLES, Inspection, inspect, require_suffix
from uota.io.outputs import check_writable, path_of
from uota.misfiled.files import write_files
from uota.runs.folder import check_output
from uota.runs.run import Run

# Of a picture alone.
PICTURED, JUDGED_FOR_PICTURE = 8, 128


def inspect_and_write(
    what: list[str],
    out: Path,
    files: str | None = None,
    table: str | None = None,
    data: str | None = None,
    backbone: str | None = None,
    weights: str | None = None,
    images: int | None = None,
    **settings: Any,
) -> Inspection:
    """Inspect, and write the page (or the gallery as a picture), and what else is asked for.

    Args:
        what: a run's folder, and other runs to draw beside; or one folder or name of images.
        out: the page or the picture.
        files: of groups, a CSV of every file by falling outlier probability.
        table: a .parquet or .csv file with a row per judged view.
        data: a name, or a folder of images; None: `what`, the run's, or demo-scenes.
        backbone: of the features that an arbiter looks at, without a run.
        weights: a file, of the backbone.
        images: how many to show.
        settings: see `inspect`.

    Raises:
        UotaError: there are no such images or runs, the settings contradict each other, a file cannot be written.
    """
    run, beside, data = _named(what, data)
    if run and (backbone or weights):
        raise UotaError(f"{run.folder} is a run, which has its own backbone; leave out --backbone and --weights")
    if table is not None and Path(table).suffix not in TABLES:
        raise UotaError(f"{table} is neither a .parquet nor a .csv file; give --table one of these endings")
    require_suffix(out)
    written = [out, *(path_of(other) for other in (files, table) if other is not None)]
    check_writable(*written)
    check_output(*written, data=data if data is not None or run is None else run.settings().data)
    if images is not None and images < 1:
        raise UotaError(f"images is {images}; at least 1 must be shown")
    page = out.suffix == PAGE
    size: dict[str, Any] = {} if page else {"judged": JUDGED_FOR_PICTURE, "compare": False}
    shown = images or (SHOWN if page else PICTURED)
    found = inspect(
        data,
        run or backbone,
        weights=path_of(weights) if weights else None,
        shown=shown,
        files=True if files is not None else None if page else False,
        beside=beside,
        **size,
        **settings,
    )
    found.save(out, shown)
    if files is not None and found.filing is not None:
        write_files(found.filing.judged, found.filing.groups, found.filing.fits, path_of(files))
    if table is not None:
        found.save(path_of(table))
    return found


def _named(what: list[str], data: str | None) -> tuple[Run | None, list[Run], str | None]:
    """The run to inspect, the runs beside it, and the images."""
    runs = [Run(path_of(name)) for name in what]
    if len(runs) == 1 and not runs[0].settings_file.exists() and data is None:
        return None, [], what[0]
    for run in runs:
        run.settings()
    return runs[0] if runs else None, runs[1:], data
