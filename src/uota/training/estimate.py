"""The announcement of how long a training will take, as its first steps show."""

import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console

# Steps before those that are timed, in which caches fill, and the timed ones.
FIRST, TIMED = 2, 3
# Trainings of fewer seconds are not announced.
SHORT = 60


class Estimate(pl.Callback):
    """Prints once how long a training will take.

    Args:
        total_steps: number of steps of the whole run.
        quiet: print nothing.
    """

    def __init__(self, total_steps: int, quiet: bool = False) -> None:
        self.total_steps, self.done, self.began = total_steps, 0, 0.0
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Time the first steps."""
        self.done += 1
        if self.done in (FIRST, FIRST + TIMED):
            float(outputs["loss"])  # waits for the device, which otherwise only has been told what to do
        if self.done == FIRST:
            self.began = time.perf_counter()
        if self.done == FIRST + TIMED:
            steps = self.total_steps - trainer.global_step
            seconds = steps * (time.perf_counter() - self.began) / TIMED
            if seconds > SHORT and trainer.is_global_zero:
                self.console.print(f"the other {steps} steps will take {duration(seconds)}")


def duration(seconds: float) -> str:
    """Return a duration in words.

    >>> duration(500.0), duration(9000.0)
    ('about 8 minutes', 'about 2.5 hours')
    """
    return f"about {seconds / 3600:.1f} hours" if seconds > 2 * 3600 else f"about {max(1, round(seconds / 60))} minutes"
