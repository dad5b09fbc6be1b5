"""Locks that let one process at a time write to a folder."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from uota.errors import UotaError

# Lock file in each folder of a training or of shards being written.
LOCK = ".uota.lock"


# Names, or patterns of names, of what is written into a folder: files map to None, folders to their own content.
Written = dict[str, Any]


# Seconds to wait for a lock, which the loading processes of a killed run may still hold for a while.
WAIT = 10.0


UNFINISHED = re.compile(r"\.(\d+|unfinished)\.(.+)", re.DOTALL)


@contextmanager
def hold(folder: Path, written: Written) -> Iterator[None]:
    """Lock a folder against other processes, and create it if needed.

    Files that a killed process left unfinished are removed. The lock is released when this process ends in any way.

    Args:
        folder: folder to lock.
        written: names of the files that are written into it.

    Raises:
        UotaError: another process has locked the folder, or it cannot be written to.
    """
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=WAIT)
    except Timeout as error:
        raise UotaError(
            f"{folder} is in use by another process; wait until it has ended, or choose another folder"
        ) from error
    except OSError as error:
        raise UotaError(f"{folder} cannot be written: {error.strerror}; make room or choose another folder") from error
    try:
        _remove_unfinished(folder, written)
        yield
    finally:
        lock.release()


def finished_name(name: str) -> str:
    """Return the final name of an unfinished file, or the name itself if it is final."""
    unfinished = UNFINISHED.fullmatch(name)
    return unfinished[2] if unfinished else name


def _remove_unfinished(folder: Path, written: Written) -> None:
    """Remove the unfinished files of processes that have ended."""
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
    except OSError:  # a process of another user
        return True
    return process != os.getpid()
