"""Lightning's Trainer as every training here wants it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from uota.errors import UotaError
from uota.training.checkpoints import WhereTold

# Lightning says these of what is meant to be so.
MEANT = (
    ".*does not have many workers.*",
    ".*treespec, LeafSpec.*",
    # `GlobalBatches` goes on within an epoch by itself.
    ".*your dataloader is not resumable.*",
    ".*Found .* module.s. in eval mode.*",
)


@contextmanager
def without_warnings_of_what_is_meant(*more: str) -> Iterator[None]:
    """Leaves out `MEANT`, and `more`."""
    with warnings.catch_warnings():
        for message in (*MEANT, *more):
            warnings.filterwarnings("ignore", message=message)
        yield


def make_trainer(
    folder: Path, callbacks: list[pl.Callback], bar: bool, devices: int = 1, **settings: Any
) -> pl.Trainer:
    """A Trainer that says no more than it must, and leaves checkpoints and the order of batches to us.

    Args:
        folder: where it may write.
        callbacks: besides the progress bar.
        bar: show one.
        devices: processes.
        settings: Lightning's own.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return pl.Trainer(
        callbacks=[*callbacks, *([RichProgressBar()] if bar else [])],
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=bar,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        devices=devices,
        plugins=[WhereTold()],
        strategy="ddp" if devices > 1 else "auto",
        **settings,
    )


def loggers_of(folder: Path) -> list[Logger]:
    """A table of what is logged, and TensorBoard's files where that is installed."""
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]
    if find_spec("tensorboard"):
        loggers.append(TensorBoardLogger(folder, name="logs"))
    return loggers


@contextmanager
def explaining_full_disks(folder: Path, then: str = "go on with --resume") -> Iterator[None]:
    """What stops a training that cannot write, as a sentence.

    Args:
        folder: where it writes.
        then: what to do when there is room.

    Raises:
        UotaError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UotaError(
            f"training stopped: {error}. If {folder} is full or cannot be written, make room, "
            f"then {then}: the last checkpoint is whole"
        ) from error
