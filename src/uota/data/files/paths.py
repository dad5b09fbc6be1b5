"""A list of paths as a source of images."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from uota.console import printable
from uota.data.files.decode import read_file
from uota.data.files.decoded import FolderOptions
from uota.data.packed.source import PackedSource
from uota.errors import UotaError
from uota.io.outputs import path_of
from uota.io.reading import file_stamp


class Paths:
    """Image files in any folders, by index."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Keep the paths; nothing is read yet."""
        self.paths = list(paths)

    def __len__(self) -> int:
        """Number of files."""
        return len(self.paths)

    def path(self, index: int) -> Path:
        """Path of a file."""
        return self.paths[index]

    def read(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a file."""
        return read_file(self.paths[index])

    def identity(self, index: int) -> bytes:
        """The file's path, size and times of change."""
        return file_stamp(self.path(index))

    def fingerprint_parts(self) -> Iterator[bytes]:
        """Names of the files, without their folders."""
        return (os.fsencode(path.name) for path in self.paths)


def are_paths(images: Any) -> TypeGuard[Sequence[str | Path]]:
    """Whether this is a non-empty list of paths."""
    return (
        isinstance(images, list | tuple) and bool(images) and all(isinstance(one, str | os.PathLike) for one in images)
    )


def open_paths(paths: Sequence[str | Path], options: FolderOptions) -> PackedSource:
    """The images at these paths, without labels; `skipped` names those that cannot be read.

    Raises:
        UotaError: there is no file at one of them.
    """
    found = [path_of(path) for path in paths]
    missing = [path for path in found if not path.exists()]
    if missing:
        more = f", nor are there {len(missing) - 1} more of the {len(found)}" if len(missing) > 1 else ""
        raise UotaError(f"there is no file {printable(missing[0])}{more}; correct the list")
    return PackedSource("images", Paths(found), None, None, options)
