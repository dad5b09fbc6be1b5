"""Where commands write: asked, without leaving anything, before work is done for it."""

import os
import tempfile
from pathlib import Path

from uota.console import printable
from uota.errors import UotaError
from uota.io.locks import LOCK

# Of a file's unfinished copy beside it, which has a longer name.
LONGER = 16


def path_of(text: str | Path) -> Path:
    """A path that a person gave, with `~` for the home folder.

    Raises:
        UotaError: it is empty, or no path.
    """
    if not str(text).strip():
        raise UotaError("a path is empty; name a file or a folder ('.' is the one that you are in)")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # the home of nobody
        raise UotaError(f"{printable(text)} is in the home folder of nobody here; write the path out") from error


def check_writable(*files: Path) -> None:
    """Check that files can be written, or that whatever is there can be replaced.

    Raises:
        UotaError: one is a folder, or its folder cannot be written to.
    """
    for file in files:
        if _is_dir(file) or str(file) in ("", "."):
            raise UotaError(f"{printable(file)} is a folder; give the name of a file in it")
        if file.exists() and not file.is_file():
            raise UotaError(
                f"{printable(file)} is a pipe or a device, which would be replaced; give the name of a file"
            )
        _check_folder(file.parent, file)
        _check_name(file.with_name("x" * LONGER + file.name), file)


def check_writable_folder(folder: Path) -> None:
    """Check that files can be written into a folder, which need not be there yet.

    Raises:
        UotaError: it is a file, or it cannot be made or written to.
    """
    _check_folder(folder, folder)


def _check_folder(folder: Path, wanted: Path) -> None:
    """Try to write beside what will be written, in the lowest folder that is there already."""
    here = folder
    while not _exists(here, wanted):
        _check_name(here, wanted)
        here = here.parent
    if not here.is_dir():
        raise UotaError(f"{printable(wanted)} cannot be written: {printable(here)} is a file; choose another folder")
    try:
        with tempfile.TemporaryFile(dir=here):
            pass
    except OSError as error:
        raise _unwritable(wanted, error) from error


def _exists(path: Path, wanted: Path) -> bool:
    """Whether something is there, a link that leads nowhere too."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except NotADirectoryError:  # above it is a file, which is found next
        return False
    except (OSError, ValueError) as error:  # too long a name; a folder that may not be looked into; a null byte
        raise _unwritable(wanted, error) from error
    return True


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise _unwritable(path, error) from error


def _check_name(path: Path, wanted: Path) -> None:
    """Check that the file system takes a name."""
    try:
        path.exists()
    except OSError as error:
        raise _unwritable(wanted, error) from error


def _unwritable(path: Path, error: OSError | ValueError) -> UotaError:
    why = getattr(error, "strerror", None) or error
    return UotaError(f"{printable(path)} cannot be written: {why}; make room or choose another folder")


def is_nonempty_dir(folder: Path) -> bool:
    """Whether a folder that is to be written to is there, and not empty; a lock alone is nothing.

    Raises:
        UotaError: it is a file, or may not be entered.
    """
    if folder.exists() and not folder.is_dir():
        raise UotaError(f"{folder} is a file; give --out a folder, new or empty")
    return folder.exists() and any(path.name != LOCK for path in folder.iterdir())
