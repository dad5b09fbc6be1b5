"""Arrays for embeddings: in memory, or beyond a size in a temporary file that is mapped into it."""

import os
import tempfile
from math import prod
from pathlib import Path

import numpy as np
from numpy import ndarray

from uota.console import printable
from uota.errors import UotaError

# Bytes from which an array is kept in a temporary file, whose pages the system may take back.
MAPPED = 2**30


def allocate(shape: tuple[int, int], dtype: np.dtype) -> ndarray:
    """Allocate an array; the temporary file of a large one is gone when the array, or the process, is.

    Raises:
        UotaError: the folder for temporary files has too little room.
    """
    size = prod(shape) * dtype.itemsize
    if size <= MAPPED:
        return np.empty(shape, dtype)
    folder = Path(tempfile.gettempdir())
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk would end the process once pages are written
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        raise UotaError(
            f"{printable(folder)} has no room for {size / 1e6:.0f} MB of embeddings: {error.strerror}; "
            "make room, or set TMPDIR to another folder"
        ) from error
