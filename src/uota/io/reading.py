"""Reads files that a user named: regular ones only, and no more of them than a limit."""

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

# JSON and YAML that people and this package write; annotations of data sets may be larger and say so.
TEXT_BYTES = 64 * 2**20


class NotRegularError(OSError):
    """A pipe, socket, device or folder stands where a file should; reading it could block forever."""


def open_regular(path: Path | str) -> int:
    """Open a regular file for reading, judged after following links, and return its descriptor.

    Raises:
        NotRegularError: it is something else than a regular file.
        OSError: it cannot be opened.
    """
    # Opening a device can change it, and opening a pipe waits for its writer: so it is looked at before and after.
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
        path: of the file; links are followed.
        at_most: bytes that it may have; None: any number.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger.
    """
    with open(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if at_most is not None and size > at_most:
            raise OSError(f"it has {size} bytes, of which at most {at_most} are read")
        return file.read()


def read_text(path: Path | str, at_most: int = TEXT_BYTES) -> str:
    """Read a text file in UTF-8, with or without a byte-order mark.

    Raises:
        OSError: as `read_regular`.
        ValueError: it is not UTF-8.
    """
    return read_regular(path, at_most).decode("utf-8-sig")


def read_json(path: Path | str, at_most: int = TEXT_BYTES) -> Any:
    """Read a JSON file in UTF-8.

    Raises:
        OSError: as `read_regular`.
        ValueError: it is not JSON, or nested more deeply than anything that is meant.
    """
    try:
        return json.loads(read_text(path, at_most))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths name the same; on disks that do not tell capitals apart, their spelling is not enough."""
    with suppress(OSError):
        return one == other or os.path.samefile(one, other)
    return False


def _check_regular(status: os.stat_result, path: Path | str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(f"{path} is not a regular file")
