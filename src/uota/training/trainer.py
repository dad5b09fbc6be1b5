"""Lightning's Trainer as every training here wants it."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException

from uota.errors import StoppedError, UotaError
from uota.io.locks import hold
from uota.runs.folder import EVALUATION, RUN
from uota.training.checkpoints import DirectCheckpointIO
from uota.training.loader import DEAD_PROCESS
from uota.training.signals import Interruption, stop_requests

# Lightning says these of what is meant to be so.
EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*treespec, LeafSpec.*",
    # `GlobalBatches` goes on within an epoch by itself.
    ".*your dataloader is not resumable.*",
    ".*Found .* module.s. in eval mode.*",
)


@contextmanager
def ignore_expected_warnings(*more: str) -> Iterator[None]:
    """Leaves out `EXPECTED_WARNINGS`, and `more`."""
    with warnings.catch_warnings():
        for message in (*EXPECTED_WARNINGS, *more):
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

    Raises:
        UotaError: there is no such accelerator here, or not as many devices.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with _translate_devices(settings.get("accelerator", "auto"), devices):
        return _trainer(folder, callbacks, bar, devices, **settings)


def _trainer(folder: Path, callbacks: list[pl.Callback], bar: bool, devices: int, **settings: Any) -> pl.Trainer:
    return pl.Trainer(
        callbacks=[*callbacks, *([RichProgressBar()] if bar else [])],
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=bar,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        devices=devices,
        plugins=[DirectCheckpointIO()],
        strategy="ddp" if devices > 1 else "auto",
        **settings,
    )


@contextmanager
def _translate_devices(accelerator: str, devices: int) -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, ImportError, MisconfigurationException) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        several = f" with {devices} devices" if devices > 1 else ""
        raise UotaError(f"accelerator {accelerator!r} cannot be used{several}: {reason}; choose auto") from error


def loggers_of(folder: Path) -> list[Logger]:
    """A table of what is logged, and TensorBoard's files where that is installed."""
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]
    if find_spec("tensorboard"):
        loggers.append(TensorBoardLogger(folder, name="logs"))
    return loggers


def hold_by_first(folder: Path) -> AbstractContextManager[None]:
    """As `hold`, for all processes of a training: the first one holds the folder.

    Raises:
        UotaError: as `hold`.
    """
    return hold(folder, RUN | EVALUATION) if _is_first() else nullcontext()


def _is_first() -> bool:
    """Whether this process is the one that was started; Lightning starts the others."""
    return getattr(rank_zero_only, "rank", 0) == 0


@contextmanager
def translate_stops(trainer: pl.Trainer, folder: Path, again: str) -> Iterator[None]:
    """Turn what stops a training before its end into a sentence: signals, full disks, loading processes that died.

    Args:
        trainer: that trains.
        folder: where it writes.
        again: how to go on.

    Raises:
        StoppedError: a signal asked to stop; the state is saved.
        UotaError: the folder cannot be written, or a loading process died.
    """
    with stop_requests() as request:
        try:
            yield
        except (Interruption, SIGTERMException) as stopped:
            _stop(trainer, stopped, again)
        except OSError as error:
            raise UotaError(
                f"training stopped: {error}. If {folder} is full or cannot be written, make room, "
                f"then {again}: what was saved before is whole"
            ) from error
        except RuntimeError as error:
            if not str(error).startswith(DEAD_PROCESS):
                raise
            raise UotaError(
                "a process that loads images died; it was killed, perhaps because memory ran out; "
                f"use fewer --workers and {again}: what was saved before is whole"
            ) from error
        if request.number:
            _stop(trainer, Interruption(request.number), again)


def _stop(trainer: pl.Trainer, stopped: BaseException, again: str) -> NoReturn:
    if not _is_first():
        raise SystemExit(0) from stopped  # of any other code Lightning kills the process that has something to say
    number = stopped.number if isinstance(stopped, Interruption) else signal.SIGTERM
    if isinstance(stopped, Interruption) and stopped.at_once:
        raise StoppedError(f"stopped at once, since the last checkpoint; {again}", number) from None
    raise StoppedError(f"stopped at step {trainer.global_step}; {again}", number) from None
