"""Errors of checkpoints that cannot be resumed from, as opposed to errors of training itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from uota.errors import UotaError
from uota.runs.checkpoints import LARGEST_STEP, first_line, read_checkpoint

PARTS = ("loops", "optimizer_states", "lr_schedulers")


class RestoreWatch(pl.Callback):
    """Records that Lightning has restored the checkpoint, and checks that training starts at its step.

    Args:
        step: step of the checkpoint.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self.done = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.global_step != self.step:
            raise ValueError(f"it is of step {self.step}, but its loops are at step {trainer.global_step}")
        self.done = True


@contextmanager
def translate_restore_errors(trainer: pl.Trainer, checkpoint: Path | None) -> Iterator[None]:
    """Translate any error that Lightning or torch raises while restoring a checkpoint.

    Args:
        trainer: trainer that restores it.
        checkpoint: file to restore; None: training starts from the beginning.

    Raises:
        UotaError: the checkpoint does not fit this training.
    """
    if checkpoint is None:
        yield
        return
    state = read_checkpoint(checkpoint)
    if wrong := _wrong_training(state, trainer):
        raise _unresumable(checkpoint, wrong)
    restored = RestoreWatch(state["global_step"])
    trainer.callbacks.append(restored)  # type: ignore[attr-defined]
    try:
        yield
    except (UotaError, OSError):
        raise
    except Exception as error:
        if restored.done:
            raise
        raise _unresumable(checkpoint, first_line(error)) from error
    finally:
        trainer.callbacks.remove(restored)  # type: ignore[attr-defined]


def _wrong_training(state: dict[str, Any], trainer: pl.Trainer) -> str | None:
    """Name what a checkpoint lacks that Lightning needs to resume, instead of silently starting over; None: nothing."""
    if lacking := [name for name in PARTS if name not in state]:
        return f"it lacks {', '.join(lacking)}"
    if not isinstance(state["optimizer_states"], list) or not state["optimizer_states"]:
        return "it has no optimiser state"
    loops = state["loops"].get("fit_loop") if isinstance(state["loops"], dict) else None
    if not isinstance(loops, dict) or trainer.fit_loop.state_dict().keys() - loops.keys():
        return "it has no progress of training"
    return _wrong_count("loops", loops)


def _wrong_count(name: str, progress: Any) -> str | None:
    """Describe which count of steps or epochs in the state of Lightning's loops is impossible; None: none is."""
    if isinstance(progress, dict):
        inside = (_wrong_count(str(key), value) for key, value in progress.items())
        return next((wrong for wrong in inside if wrong), None)
    if isinstance(progress, int | float) and not 0 <= progress < LARGEST_STEP:
        return f"its {name} is {progress!r}"
    return None


def _unresumable(checkpoint: Path, why: str) -> UotaError:
    return UotaError(
        f"{checkpoint} cannot be resumed from: {why}; replace it with a copy, or start over with --overwrite"
    )
