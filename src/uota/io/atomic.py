"""Atomic writes: neither readers nor crashes ever see a partly written file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uota.errors import UotaError


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="surrogateescape")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Provide a temporary path, and rename that file to `path` when the block ends without an error.

    Raises:
        UotaError: the path is a folder, or its folder is full or cannot be written to.
    """
    with _unfinished_file(path) as unfinished:
        yield unfinished
        os.replace(unfinished, path)


@contextmanager
def _unfinished_file(path: Path) -> Iterator[Path]:
    """Provide a temporary path in the same folder, which is created; a file left there is removed at the end."""
    if path.is_dir():
        raise UotaError(f"{path} is a folder; give the name of a file in it")
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
    except OSError as error:
        raise UotaError(f"{path} cannot be written: {error.strerror}; make room or choose another folder") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
