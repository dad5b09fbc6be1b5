"""Arrays of numbers as compact text, which the page reads as typed arrays."""

from base64 import b64encode

import numpy as np
from numpy import ndarray


def packed(values: ndarray) -> dict[str, str]:
    """Pack numbers as base64 of little-endian bytes.

    Whole numbers from 0 on get the smallest unsigned type that holds them, and others are rounded to float32.

    >>> packed(np.array([1, 2, 3]))
    {'dtype': 'u1', 'data': 'AQID'}
    """
    if values.dtype.kind == "f":
        made = values.astype("<f4")
    else:
        made = values.astype(np.min_scalar_type(int(values.max(initial=0))))
    return {
        "dtype": made.dtype.str[1:],
        "data": b64encode(made.astype(made.dtype.newbyteorder("<")).tobytes()).decode(),
    }
