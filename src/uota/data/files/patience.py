"""Retries failed reads: a file that is unavailable for some seconds, as on a network, is not damaged."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from uota.errors import UotaError

# Seconds between tries; they add up to the time stated in the message.
PAUSES = (0.1, 0.4, 1.0, 2.0, 4.0, 8.0)
Value = TypeVar("Value")


def patiently(read: Callable[[], Value], path: Path) -> Value:
    """Read, and retry for some seconds if the file system fails.

    Args:
        read: function to call; raises OSError if the file system fails.
        path: the file, for the message.

    Raises:
        UotaError: all tries failed.
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
            f"{path} cannot be read, even after {sum(PAUSES):.0f} seconds: {error.strerror or error}; "
            "make its disk available again and repeat the command, with --resume if it was training"
        ) from error
