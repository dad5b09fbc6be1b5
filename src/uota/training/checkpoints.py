"""The run's checkpoint: written atomically every so many steps, at the end, and when a person presses Ctrl-C."""

import io
import os
import signal
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import TorchCheckpointIO

from uota.runs import checkpoint_before, remove_if_damaged


class Checkpoints(pl.Callback):
    """Keeps one checkpoint up to date, and the one before it.

    Ctrl-C lets the step finish, saves and stops; a second one stops at once.

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
        if trainer.is_global_zero:
            remove_if_damaged(self.path)
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
        # Whatever happens meanwhile, a whole checkpoint has its name: a full disk, or a kill, leaves the old ones.
        unfinished = self.path.with_name(f".unfinished.{self.path.name}")
        trainer.save_checkpoint(unfinished)
        if trainer.is_global_zero:
            with suppress(FileNotFoundError):
                os.replace(self.path, checkpoint_before(self.path))
            os.replace(unfinished, self.path)


class WhereTold(TorchCheckpointIO):
    """Writes into the folder it is told. Lightning's own writes into the system's temporary folder first, which may be
    full, or on another disk, from where no file moves in one step; and a kill leaves its file there."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Raises OSError where there is no room; what was written of it then is removed."""
        buffer = io.BytesIO()  # not straight into the file: of a full disk PyTorch says "unexpected pos 704"
        torch.save(checkpoint, buffer)
        try:
            Path(path).write_bytes(buffer.getbuffer())
        except OSError:
            Path(path).unlink(missing_ok=True)
            raise
