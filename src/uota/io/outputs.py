"""Checks of output paths, made without leaving a trace, before any work is done."""

import os
import tempfile
from pathlib import Path

from uota.console import printable
from uota.errors import UotaError
from uota.io.locks import LOCK

# Additional characters in the name of a file's unfinished copy.
LONGER = 16


def path_of(text: str | Path) -> Path:
    """Parse a path given by the user, in which `~` is the home folder.

    Raises:
        UotaError: it is empty, or names an unknown user's home.
    """
    if not str(text).strip():
        raise UotaError("a path is empty; name a file or a folder ('.' is the current one)")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UotaError(f"{printable(text)} is in the home folder of an unknown user; write the path out") from error


def check_writable(*files: Path) -> None:
    """Check that files can be created or replaced.

    Raises:
        UotaError: a path is not that of a regular file, or its folder cannot be written to.
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
    """Check that files can be written into a folder, which need not exist yet.

    Raises:
        UotaError: it is a file, or cannot be created or written to.
    """
    _check_folder(folder, folder)


def _check_folder(folder: Path, wanted: Path) -> None:
    """Try to write a temporary file in the innermost folder of the path that exists."""
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
    """Whether a path exists; a dangling link does."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except NotADirectoryError:  # one of its parents is a file, which the caller finds next
        return False
    except (OSError, ValueError) as error:  # the name is too long or has a null byte, or a folder cannot be searched
        raise _unwritable(wanted, error) from error
    return True


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise _unwritable(path, error) from error


def _check_name(path: Path, wanted: Path) -> None:
    """Check that the file system accepts a name."""
    try:
        path.exists()
    except OSError as error:
        raise _unwritable(wanted, error) from error


def _unwritable(path: Path, error: OSError | ValueError) -> UotaError:
    why = getattr(error, "strerror", None) or error
    return UotaError(f"{printable(path)} cannot be written: {why}; make room or choose another folder")


def is_nonempty_dir(folder: Path) -> bool:
    """Whether an output folder exists and contains anything but a lock.

    Raises:
        UotaError: it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UotaError(f"{folder} is a file; give --out a folder, new or empty")
    return folder.exists() and any(path.name != LOCK for path in folder.iterdir())
