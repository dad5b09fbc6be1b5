"""Safe use of a run's folder: replace only runs, remove only files that a run wrote, and never overwrite its input."""

import os
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from uota.console import printable
from uota.data.files.formats import HEAD, format_of_content
from uota.data.places import places_of
from uota.errors import UotaError
from uota.io.locks import LOCK, Written, finished_name
from uota.io.outputs import is_nonempty_dir
from uota.io.reading import is_same_path, open_regular, read_json

LOGS: Written = {"version_*": {"metrics.csv": None, "hparams.yaml": None, "events.out.tfevents.*": None}}
TRAINING: Written = {"checkpoint.ckpt": None, "checkpoint.before.ckpt": None, "logs": LOGS}
EVALUATION = TRAINING | {"identity.json": None}
TRANSFER = TRAINING | {"detections.json": None, "result.json": None, "settings.json": None}
RUN = TRANSFER | {
    **dict.fromkeys(
        (
            *("data.json", "skipped.txt", "refiled.csv", "arbiter.json", "baseline.json"),
            *("linear.json", "knn.json", "linear-sgd.json"),
        )
    ),
    "finetune-*.json": None,
    **dict.fromkeys(("linear-sgd", "finetune-*"), EVALUATION),
    **dict.fromkeys(("detection", "segmentation", "keypoints"), TRANSFER),
}
# Keys by which settings.json is recognised as that of a pretraining run or of a transfer.
SETTINGS = (
    {"data", "method", "arbitration", "optimization"},
    {"data", "method", "arbiter", "epochs", "seed"},  # of earlier versions
    {"task", "origin", "settings"},
)
# Files of a run that was killed while it wrote its settings.
FIRST = ("data.json", "settings.json")


def require_free(folder: Path, overwrite: bool, needed: Iterable[Path] = ()) -> None:
    """Require a folder that a new run may use.

    Args:
        folder: folder of the new run.
        overwrite: allow the folder to contain a run, which will be replaced.
        needed: files and folders that the new run reads, such as its images.

    Raises:
        UotaError: the folder is a file, contains anything that may not be overwritten, or overlaps with needed files.
    """
    if not is_nonempty_dir(folder):
        return
    if not overwrite:
        raise UotaError(
            f"{folder} is not empty; continue with --resume, replace it with --overwrite, or choose another --out"
        )
    for place in needed:
        if relation := _relation(folder, place):
            raise UotaError(
                f"{folder} {relation} {place}, which this run reads, so it is not replaced; choose another --out"
            )
    if not _is_run(folder) and not _is_killed_early(folder):
        raise UotaError(
            f"{folder} is not the folder of a run (it has no settings.json of one), so it is not replaced; "
            "choose another --out, or empty it yourself"
        )
    for name, part in RUN.items():
        if part is not None and (folder / name).is_file():
            raise UotaError(f"{folder / name} is a file where a run has a folder; move it, or choose another --out")


def check_output(*files: Path, data: str | None = None) -> None:
    """Check that writing files overwrites neither an image of the data nor a file of a run.

    Args:
        files: files to write.
        data: data set's name or folder of the images that are read.

    Raises:
        UotaError: a file is an image of the data or a file of a run, or two files are the same.
    """
    if len({_resolved(file) for file in files}) < len(files):
        raise UotaError(f"{printable(files[0])} is given for two outputs; give each a file of its own")
    for file in files:
        inside = any(fnmatchcase(file.name, name) for name, part in RUN.items() if part is None)
        if inside and _is_run(file.parent):
            raise UotaError(f"{printable(file)} is a file of a run; choose another name")
        for place in places_of(data or ""):
            if _relation(file, place) in ("is", "is inside") and _is_data(file):
                raise UotaError(f"{printable(file)} is one of the images that are read; choose another name")


def _is_data(file: Path) -> bool:
    """Whether a file is an image or an archive of images."""
    try:
        with open(open_regular(file), "rb") as opened:
            return file.suffix.lower() in (".tar", ".arrow") or format_of_content(opened.read(HEAD)) is not None
    except OSError:  # it is not there yet
        return False


def empty_folder(folder: Path, overwrite: bool, needed: Iterable[Path] = ()) -> None:
    """Empty a folder for a new run, which has locked it; only files that a run writes are removed.

    Raises:
        UotaError: the folder does not pass `require_free`, or a file cannot be removed.
    """
    require_free(folder, overwrite, needed)
    if overwrite and folder.exists():
        try:
            _remove(folder, RUN)
        except OSError as error:
            raise UotaError(
                f"{error.filename} cannot be removed: {error.strerror}; remove it yourself, or choose another --out"
            ) from error


def _relation(folder: Path, place: Path) -> str | None:
    """Return how a folder overlaps with a place, after following links: "is", "contains", "is inside", or None."""
    folder, place = _resolved(folder), _resolved(place)
    if is_same_path(folder, place):
        return "is"
    if any(is_same_path(folder, parent) for parent in place.parents):
        return "contains"
    return "is inside" if any(is_same_path(parent, place) for parent in folder.parents) else None


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError):  # a link to itself, or the home of an unknown user
        return path.absolute()


def _is_run(folder: Path) -> bool:
    try:
        settings = read_json(folder / "settings.json")
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and any(names <= settings.keys() for names in SETTINGS)


def _is_killed_early(folder: Path) -> bool:
    """Whether the folder contains only files that a run writes before its settings."""
    names = {path.name for path in folder.iterdir()}
    unfinished = {name for name in names if name != finished_name(name) and finished_name(name) in FIRST}
    return names <= unfinished | {LOCK, "data.json"}


def _remove(folder: Path, written: Written) -> None:
    """Remove the files that are written into a folder, and then empty folders. Links are removed, not followed."""
    with os.scandir(folder) as entries:
        # The settings come last, so that the folder is still recognised as a run if this process is killed.
        listed = sorted(entries, key=lambda entry: entry.name == "settings.json")
    for entry in listed:
        inside = [part for name, part in written.items() if fnmatchcase(finished_name(entry.name), name)]
        if not inside:
            continue
        if entry.is_symlink() or (None in inside and entry.is_file(follow_symlinks=False)):
            os.unlink(entry.path)
        elif entry.is_dir(follow_symlinks=False) and any(inside):
            _remove(Path(entry.path), {LOCK: None} | next(filter(None, inside)))
            with suppress(OSError):  # it contains files that no run wrote
                os.rmdir(entry.path)
