"""The run's checkpoint: written atomically every so many steps, at the end, and when a person presses Ctrl-C."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl


class Checkpoints(pl.Callback):
    """Keeps one checkpoint up to date. Ctrl-C lets the step finish, saves and stops; a second one stops at once.

    Args:
        path: of the checkpoint.
        every: steps between two.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every
        self.interrupted = False
        self._previous: Any = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        try:
            self._previous = signal.signal(signal.SIGINT, self._interrupt)
        except ValueError:  # not in the main thread: Ctrl-C is somebody else's business there
            self._previous = None

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        if self.interrupted or trainer.global_step % self.every == 0:
            self._save(trainer)
        if self.interrupted:
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self.interrupted:
            self._save(trainer)

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def _save(self, trainer: pl.Trainer) -> None:
        # Lightning writes beside the checkpoint and then renames: a full disk leaves the one before it whole.
        trainer.save_checkpoint(self.path)
