"""The run's checkpoint: written atomically every so many steps or minutes, at the end, and on signals to stop."""

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
from uota.runs.checkpoints import checkpoint_before, remove_if_damaged
from uota.training.signals import Interruption, StopRequest, current_request

# At most so many seconds of work are lost, however slow the steps are.
SECONDS_BETWEEN = 300.0


class Checkpoints(pl.Callback):
    """Keeps one checkpoint up to date, and the one before it.

    A signal that asks to stop lets the step finish, saves and stops; while images are waited for it need not wait, and
    what the last step left is saved. Several processes agree after each step on whether to save and to stop.

    Args:
        path: of the checkpoint.
        every: steps between two.
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
        self._request.install()  # Lightning has put a handler of its own in its place
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
        """Save what the last step left, unless a step was cut in two or the person wants no more of it."""
        wanted = not (isinstance(exception, Interruption) and exception.at_once)
        alone = trainer.world_size == 1  # other processes do not know of it, and would not save with this one
        if wanted and alone and self._is_between_steps and self._saved_step != trainer.global_step:
            self._save(trainer)

    def _agree(self, module: pl.LightningModule) -> tuple[bool, bool]:
        """Whether any process was asked to stop, and whether the last checkpoint of any is too long ago."""
        overdue = time.monotonic() - self._saved_at > SECONDS_BETWEEN
        if world_size() == 1:
            return self._request.number > 0, overdue
        asked = torch.tensor([self._request.number, int(overdue)], device=module.device)
        number, is_overdue = max_over_ranks(asked).tolist()
        self._request.number = number
        return number > 0, is_overdue > 0

    def _save(self, trainer: pl.Trainer) -> None:
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        # Whatever happens meanwhile, a whole checkpoint has its name: a full disk, or a kill, leaves the old ones.
        unfinished = self.path.with_name(f".unfinished.{self.path.name}")
        trainer.save_checkpoint(unfinished)
        if trainer.is_global_zero:
            with suppress(FileNotFoundError):
                os.replace(self.path, checkpoint_before(self.path))
            os.replace(unfinished, self.path)


class DirectCheckpointIO(TorchCheckpointIO):
    """Writes into the folder it is told. Lightning's own writes into the system's temporary folder first, which may be
    full, or on another disk, from where no file moves in one step; and a kill leaves its file there."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Raises OSError where there is no room; what was written of it then is removed."""
        buffer = io.BytesIO()  # not straight into the file: of a full disk PyTorch says "unexpected pos 704"
        torch.save(checkpoint, buffer)
        try:
            Path(path).write_bytes(buffer.getbuffer())
        except BaseException:  # a second signal too
            Path(path).unlink(missing_ok=True)
            raise
