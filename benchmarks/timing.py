"""Timing of a call."""

import time
from collections.abc import Callable


def seconds(function: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
