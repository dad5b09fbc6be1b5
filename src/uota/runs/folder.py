"""What a run may do with its folder: lock it, replace an earlier run, and remove only what a run wrote."""

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
from uota.io.reading import is_same, open_regular, read_json

LOGS: Written = {"version_*": {"metrics.csv": None, "hparams.yaml": None, "events.out.tfevents.*": None}}
TRAINING: Written = {"checkpoint.ckpt": None, "checkpoint.before.ckpt": None, "logs": LOGS}
EVALUATION = TRAINING | {"identity.json": None}
TRANSFER = TRAINING | {"detections.json": None, "result.json": None, "settings.json": None}
RUN = TRANSFER | {
    **dict.fromkeys(("data.json", "skipped.txt", "linear.json", "knn.json", "linear-sgd.json", "finetune-*.json")),
    **dict.fromkeys(("linear-sgd", "finetune-*"), EVALUATION),
    **dict.fromkeys(("detection", "segmentation", "keypoints"), TRANSFER),
}
# What settings.json has at least: of a pretraining run, and of a transfer.
SETTINGS = ({"data", "method", "arbiter", "epochs", "seed"}, {"task", "origin", "settings"})
# Written before settings.json: all that a run has left that was killed so early.
FIRST = ("data.json", "settings.json")


def require_free(folder: Path, overwrite: bool, needed: Iterable[Path] = ()) -> None:
    """Require a folder in which a new run may begin.

    Args:
        folder: new, empty, or to be replaced.
        overwrite: it may hold a run, which is replaced.
        needed: files and folders that the new run reads, such as its images.

    Raises:
        UotaError: it is a file; there is something in it and it may not be overwritten, or that is no run; or it holds,
            is or lies in what is needed.
    """
    if not is_nonempty_dir(folder):
        return
    if not overwrite:
        raise UotaError(
            f"{folder} is not empty; go on with --resume, replace it with --overwrite, or choose another --out"
        )
    for place in needed:
        if relation := _relation(folder, place):
            raise UotaError(
                f"{folder} {relation} {place}, which this run reads, and is not replaced; choose another --out"
            )
    if not _is_run(folder) and not _is_killed_early(folder):
        raise UotaError(
            f"{folder} holds no run of ours (no settings.json of one), and only such are replaced; "
            "choose another --out, or empty it yourself"
        )
    for name, part in RUN.items():
        if part is not None and (folder / name).is_file():
            raise UotaError(f"{folder / name} is a file where a run has a folder; move it, or choose another --out")


def check_output(*files: Path, data: str | None = None) -> None:
    """Check that writing files costs nobody an image of the data, or a file of a run.

    Args:
        files: that will be written.
        data: the images that are read.

    Raises:
        UotaError: one is an image of the data or a file of a run, or two of them are the same.
    """
    if len({_resolved(file) for file in files}) < len(files):
        raise UotaError(f"{printable(files[0])} is to hold two things; give each a file of its own")
    for file in files:
        inside = any(fnmatchcase(file.name, name) for name, part in RUN.items() if part is None)
        if inside and _is_run(file.parent):
            raise UotaError(f"{printable(file)} is a file of a run; choose another name")
        for place in places_of(data or ""):
            if _relation(file, place) in ("is", "lies in") and _is_data(file):
                raise UotaError(f"{printable(file)} is among the images that are read; choose another name")


def _is_data(file: Path) -> bool:
    """Whether a file is an image, or holds some."""
    try:
        with open(open_regular(file), "rb") as opened:
            return file.suffix.lower() in (".tar", ".arrow") or format_of_content(opened.read(HEAD)) is not None
    except OSError:  # it is not there yet
        return False


def empty_folder(folder: Path, overwrite: bool, needed: Iterable[Path] = ()) -> None:
    """Empty a folder for a new run, which holds it; only what a run writes is removed.

    Raises:
        UotaError: as `require_free`; or something cannot be removed.
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
    """How a folder is related to a place, if it holds it, is it, or lies in it; links are followed."""
    folder, place = _resolved(folder), _resolved(place)
    if is_same(folder, place):
        return "is"
    if any(is_same(folder, parent) for parent in place.parents):
        return "holds"
    return "lies in" if any(is_same(parent, place) for parent in folder.parents) else None


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError):  # a link that leads to itself, nobody's home
        return path.absolute()


def _is_run(folder: Path) -> bool:
    try:
        settings = read_json(folder / "settings.json")
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and any(names <= settings.keys() for names in SETTINGS)


def _is_killed_early(folder: Path) -> bool:
    """Whether there is nothing but what a run wrote before its settings were there."""
    names = {path.name for path in folder.iterdir()}
    unfinished = {name for name in names if name != finished_name(name) and finished_name(name) in FIRST}
    return names <= unfinished | {LOCK, "data.json"}


def _remove(folder: Path, written: Written) -> None:
    """Remove what is written into a folder, and folders that are empty then. A link is removed, and not followed."""
    with os.scandir(folder) as entries:
        # The settings last: a kill must leave what is known as a run.
        listed = sorted(entries, key=lambda entry: entry.name == "settings.json")
    for entry in listed:
        inside = [part for name, part in written.items() if fnmatchcase(finished_name(entry.name), name)]
        if not inside:
            continue
        if entry.is_symlink() or (None in inside and entry.is_file(follow_symlinks=False)):
            os.unlink(entry.path)
        elif entry.is_dir(follow_symlinks=False) and any(inside):
            _remove(Path(entry.path), {LOCK: None} | next(filter(None, inside)))
            with suppress(OSError):  # somebody else's files are in it
                os.rmdir(entry.path)
