"""Waiting for file systems: what is gone for some seconds, on a network for one, is not damaged."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from uota.errors import UotaError

# Seconds between two tries; some 15 in all.
PAUSES = (0.1, 0.4, 1.0, 2.0, 4.0, 8.0)
Value = TypeVar("Value")


def patiently(read: Callable[[], Value], path: Path) -> Value:
    """Read, and on an error of the file system try again for some seconds.

    Args:
        read: what is tried; raises OSError where the file system fails.
        path: of what is read, for the message.

    Raises:
        UotaError: it failed all the time.
    """
    for pause in PAUSES:
        try:
            return read()
        except OSError:
            time.sleep(pause)
    try:
        return read()
    except OSError as error:
        raise UotaError(
            f"{path} cannot be read, nor could it be for {sum(PAUSES):.0f} seconds: {error.strerror or error}; "
            "make its disk available again, then run the same command once more, a training with --resume"
        ) from error
