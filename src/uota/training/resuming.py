"""Checkpoints that training cannot resume from, told apart from training that fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from uota.errors import UotaError
from uota.runs.checkpoints import LARGEST_STEP, first_line, read_checkpoint

PARTS = ("loops", "optimizer_states", "lr_schedulers")


class Restored(pl.Callback):
    """Notices when Lightning has restored everything and begins to train, and whether that is where it stopped.

    Args:
        step: of the checkpoint.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self.done = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.global_step != self.step:
            raise ValueError(f"it is of step {self.step}, and its loops of step {trainer.global_step}")
        self.done = True


@contextmanager
def translate_restore_errors(trainer: pl.Trainer, checkpoint: Path | None) -> Iterator[None]:
    """Say that a checkpoint does not fit, instead of whatever Lightning and torch raise as they restore it.

    Args:
        trainer: that will restore it.
        checkpoint: None: nothing is restored.

    Raises:
        UotaError: the checkpoint's content is not that of this training.
    """
    if checkpoint is None:
        yield
        return
    state = read_checkpoint(checkpoint)
    if wrong := _wrong_training(state, trainer):
        raise _unresumable(checkpoint, wrong)
    restored = Restored(state["global_step"])
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
    """What a checkpoint lacks of what Lightning restores, or would silently start over without; None: nothing."""
    if lacking := [name for name in PARTS if name not in state]:
        return f"it lacks {', '.join(lacking)}"
    if not isinstance(state["optimizer_states"], list) or not state["optimizer_states"]:
        return "it has no state of the optimizer"
    loops = state["loops"].get("fit_loop") if isinstance(state["loops"], dict) else None
    if not isinstance(loops, dict) or trainer.fit_loop.state_dict().keys() - loops.keys():
        return "it does not tell how far training is"
    return _wrong_count("loops", loops)


def _wrong_count(name: str, progress: Any) -> str | None:
    """A count of steps or epochs, somewhere in Lightning's loops, that cannot be; None: all can."""
    if isinstance(progress, dict):
        inside = (_wrong_count(str(key), value) for key, value in progress.items())
        return next((wrong for wrong in inside if wrong), None)
    if isinstance(progress, int | float) and not 0 <= progress < LARGEST_STEP:
        return f"its {name} is {progress!r}"
    return None


def _unresumable(checkpoint: Path, why: str) -> UotaError:
    return UotaError(
        f"{checkpoint} cannot be resumed from: {why}; put a copy in its place, or start anew with --overwrite"
    )
