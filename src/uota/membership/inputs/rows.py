"""Rows of numbers that are separate objects, stacked to an array."""

from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from uota.errors import UotaError


def stack(rows: Any) -> Shaped[ndarray, "rows dim"]:
    """Stack lists, tuples, arrays or tensors of numbers to one array of half or single precision.

    Raises:
        UotaError: they are not rows of numbers, or not of equally many; the message names the first row.
    """
    if isinstance(rows, str | bytes) or not hasattr(rows, "__iter__"):
        raise UotaError(f"embeddings are of the type {type(rows).__name__}; give one row of numbers for each member")
    found = [_row(row, number) for number, row in enumerate(rows)]
    if not found:
        return np.zeros((0, 0), dtype=np.float32)
    check_widths([len(row) for row in found])
    return np.stack(found)


def check_widths(widths: list[int]) -> None:
    """Check that all rows have as many numbers as the first.

    Raises:
        UotaError: one has more or fewer.
    """
    for number, width in enumerate(widths):
        if width != widths[0]:
            raise UotaError(
                f"row {number} of the embeddings has {width} numbers and row 0 has {widths[0]}; give equally many"
            )


def _row(row: Any, number: int) -> ndarray:
    if row is None:
        raise UotaError(f"row {number} of the embeddings is missing; leave such rows out, groups and all")
    try:
        array = np.asarray(row.detach().cpu() if hasattr(row, "detach") else row)
        if array.dtype == object:  # of None among numbers, which becomes NaN
            array = array.astype(np.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UotaError(f"row {number} of the embeddings is not a row of numbers ({error})") from error
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        what = f"an array of shape {array.shape}" if array.ndim > 1 else f"one value of the type {type(row).__name__}"
        what = what if array.ndim != 1 else f"of the type {array.dtype}"
        raise UotaError(f"row {number} of the embeddings is {what}; give one row of numbers for each member")
    return array if array.dtype == np.float16 else array.astype(np.float32, copy=False)
