"""Checkpoints that training cannot resume from, told apart from training that fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl

from uota.errors import UotaError


class Restored(pl.Callback):
    """Notices when Lightning has restored everything and begins to train."""

    def __init__(self) -> None:
        self.done = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.done = True


@contextmanager
def translate_restore_errors(trainer: pl.Trainer, checkpoint: Path | None) -> Iterator[None]:
    """Say that a checkpoint does not fit, instead of whatever Lightning and torch raise as they restore it.

    Raises:
        UotaError: the checkpoint's content is not that of this training.
    """
    restored = Restored()
    trainer.callbacks.append(restored)  # type: ignore[attr-defined]
    try:
        yield
    except (UotaError, OSError):
        raise
    except Exception as error:
        if checkpoint is None or restored.done:
            raise
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise UotaError(
            f"{checkpoint} cannot be resumed from: {why}; put a copy in its place, or start anew with --overwrite"
        ) from error
    finally:
        trainer.callbacks.remove(restored)  # type: ignore[attr-defined]
