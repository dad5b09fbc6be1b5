"""How long something takes, for the benchmarks beside this file."""

import time
from collections.abc import Callable


def seconds(function: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
