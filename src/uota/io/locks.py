"""Folders that one process at a time writes to."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from uota.errors import UotaError

# In each folder that a process trains in, or writes shards to.
LOCK = ".uota.lock"


# Names, or patterns of names, of what is written into a folder: None for files, for folders what is in them.
Written = dict[str, Any]


# Seconds to wait for a folder: the loading processes of a killed run may hold it for so long.
WAIT = 10.0


UNFINISHED = re.compile(r"\.(\d+|unfinished)\.(.+)", re.DOTALL)


@contextmanager
def hold(folder: Path, written: Written) -> Iterator[None]:
    """Keep other processes out of a folder, which is made if it is not there.

    Files that a killed process left half-written are removed. The lock ends with its process, however that ends.

    Args:
        folder: that is written to.
        written: what is written into it.

    Raises:
        UotaError: another process has it, or it cannot be written.
    """
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=WAIT)
    except Timeout as error:
        raise UotaError(
            f"{folder} is in use by another process; wait until that has ended, or choose another folder"
        ) from error
    except OSError as error:
        raise UotaError(f"{folder} cannot be written: {error.strerror}; make room or choose another folder") from error
    try:
        _remove_unfinished(folder, written)
        yield
    finally:
        lock.release()


def finished_name(name: str) -> str:
    """The name that a file takes once it is written."""
    unfinished = UNFINISHED.fullmatch(name)
    return unfinished[2] if unfinished else name


def _remove_unfinished(folder: Path, written: Written) -> None:
    """Remove the half-written files of processes that have ended."""
    for path in folder.iterdir():
        unfinished = UNFINISHED.fullmatch(path.name)
        if unfinished is None or not any(fnmatchcase(unfinished[2], name) for name in written):
            continue
        if not (unfinished[1].isdigit() and _is_running(int(unfinished[1]))):
            with suppress(OSError):
                path.unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return process != os.getpid()
