"""Reading of files named by the user: regular files only, up to a limit of size."""

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

# Default limit for JSON and YAML; annotations of data sets may be larger and have their own.
TEXT_BYTES = 64 * 2**20


class NotRegularError(OSError):
    """A path is a pipe, socket, device or folder instead of a file, so reading it could block forever."""


def open_regular(path: Path | str) -> int:
    """Open a regular file, or a link to one, for reading, and return its descriptor.

    Raises:
        NotRegularError: it is not a regular file.
        OSError: it cannot be opened.
    """
    # Opening a device can change it and opening a pipe blocks, so the type is checked before; the second check is for a
    # file that was exchanged in between.
    _check_regular(os.stat(path), path)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        _check_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(path: Path | str, at_most: int | None = None) -> bytes:
    """Read a regular file.

    Args:
        path: file to read; links are followed.
        at_most: largest permitted size in bytes; None: any size.

    Raises:
        OSError: the file cannot be read, is not regular, or is too large.
    """
    with open(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if at_most is not None and size > at_most:
            raise OSError(f"it has {size} bytes, more than the limit of {at_most}")
        return file.read()


def file_stamp(path: Path | str) -> bytes:
    """Bytes that change when a file is moved or written: its absolute path, its size, and the times of its changes.

    Raises:
        OSError: there is no such file.
    """
    status = os.stat(path)
    changes = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} "
    return changes.encode() + os.fsencode(os.path.abspath(path))


def read_text(path: Path | str, at_most: int = TEXT_BYTES) -> str:
    """Read a text file in UTF-8, with or without a byte-order mark.

    Raises:
        OSError: `read_regular` fails.
        ValueError: the content is not UTF-8.
    """
    return read_regular(path, at_most).decode("utf-8-sig")


def read_json(path: Path | str, at_most: int = TEXT_BYTES) -> Any:
    """Read a JSON file in UTF-8.

    Raises:
        OSError: `read_regular` fails.
        ValueError: the content is not JSON, or is nested too deeply to parse.
    """
    try:
        return json.loads(read_text(path, at_most))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def is_same_path(one: Path, other: Path) -> bool:
    """Whether two paths are the same file or folder, also on case-insensitive file systems."""
    with suppress(OSError):
        return one == other or os.path.samefile(one, other)
    return False


def _check_regular(status: os.stat_result, path: Path | str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(f"{path} is not a regular file")
