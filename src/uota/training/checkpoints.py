"""Saving of a run's checkpoint: atomically, every few steps or minutes, at the end, and on signals to stop."""

import io
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import TorchCheckpointIO

from uota.distributed import max_over_ranks, world_size
from uota.runs.checkpoints import previous_checkpoint, remove_if_damaged
from uota.training.signals import Interruption, StopRequest, current_request

# Largest time between two checkpoints, and so the most work that a crash can lose, however slow the steps are.
SECONDS_BETWEEN = 300.0


class Checkpoints(pl.Callback):
    """Keeps the last checkpoint and the previous one.

    After a signal to stop, the current step is finished, a checkpoint is saved and training stops. While the process
    waits for images, the signal takes effect at once, and the state after the last step is saved. Several processes
    agree after each step on whether to save and whether to stop.

    Args:
        path: file of the checkpoint.
        every: number of steps between two checkpoints.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.every = every
        self._request = StopRequest()
        self._is_between_steps = False
        self._saved_step = -1
        self._saved_at = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            remove_if_damaged(self.path)
        self._request = current_request()
        self._request.install()  # Lightning has installed its own handler since
        self._request.by_agreement = trainer.world_size > 1
        self._is_between_steps = True
        self._saved_at = time.monotonic()

    def on_train_batch_start(self, *_: Any) -> None:
        self._is_between_steps = False

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        self._is_between_steps = True
        stop, overdue = self._agree(module)
        if stop or overdue or trainer.global_step % self.every == 0:
            self._save(trainer)
        if stop:
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        was_saved = trainer.should_stop
        self._agree(module)
        if not was_saved:
            self._save(trainer)
        self._is_between_steps = self._request.by_agreement = False

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Save the state after the last step, unless a step was interrupted or a second signal came."""
        wanted = not (isinstance(exception, Interruption) and exception.at_once)
        alone = trainer.world_size == 1  # saving is collective, and other processes do not know of the exception
        if wanted and alone and self._is_between_steps and self._saved_step != trainer.global_step:
            self._save(trainer)

    def _agree(self, module: pl.LightningModule) -> tuple[bool, bool]:
        """Return whether any process was asked to stop, and whether any process's checkpoint is overdue."""
        overdue = time.monotonic() - self._saved_at > SECONDS_BETWEEN
        if world_size() == 1:
            return self._request.number > 0, overdue
        asked = torch.tensor([self._request.number, int(overdue)], device=module.device)
        number, is_overdue = max_over_ranks(asked).tolist()
        self._request.number = number
        return number > 0, is_overdue > 0

    def _save(self, trainer: pl.Trainer) -> None:
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        # The checkpoint is renamed once it is complete, so a full disk or a kill leaves the old ones intact.
        unfinished = self.path.with_name(f".unfinished.{self.path.name}")
        trainer.save_checkpoint(unfinished)
        if trainer.is_global_zero:
            with suppress(FileNotFoundError):
                os.replace(self.path, previous_checkpoint(self.path))
            os.replace(unfinished, self.path)


class DirectCheckpointIO(TorchCheckpointIO):
    """A checkpoint writer that writes directly into the target folder.

    Lightning's own writes to the system's temporary folder first. That may be full, or on another disk, from which a
    file cannot be moved atomically, and a kill leaves the file there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint; if that fails, remove the partly written file.

        Raises:
            OSError: the disk is full.
        """
        buffer = io.BytesIO()  # torch.save to a file on a full disk raises only "unexpected pos 704"
        torch.save(checkpoint, buffer)
        try:
            Path(path).write_bytes(buffer.getbuffer())
        except BaseException:  # including a second signal
            Path(path).unlink(missing_ok=True)
            raise
