"""The common configuration of Lightning's Trainer, and the translation of what stops a training."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException
from rich.console import Console

from uota.errors import StoppedError, UotaError
from uota.io.locks import hold
from uota.runs.folder import EVALUATION, RUN
from uota.training.bar import RunBar
from uota.training.checkpoints import DirectCheckpointIO
from uota.training.launch import slurm_plugins
from uota.training.loader import DEAD_PROCESS
from uota.training.signals import Interruption, stop_requests

# Lightning's warnings about what is intended here.
EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*treespec, LeafSpec.*",
    # `GlobalBatches` continues within an epoch by itself.
    ".*your dataloader is not resumable.*",
    ".*Found .* module.s. in eval mode.*",
)


class Ranks(NamedTuple):
    """The processes that train together.

    Attributes:
        devices: number on each node.
        nodes: number of machines.
        strategy: ddp or fsdp2.
        same_graph: every step's backward pass reaches the same parameters, so that it is looked at only once.
    """

    devices: int = 1
    nodes: int = 1
    strategy: str = "ddp"
    same_graph: bool = False

    @property
    def together(self) -> int:
        """Number on all nodes."""
        return self.devices * self.nodes


ALONE = Ranks()


@contextmanager
def ignore_expected_warnings(*more: str) -> Iterator[None]:
    """Ignore `EXPECTED_WARNINGS` and `more`, which are patterns of messages."""
    with warnings.catch_warnings():
        for message in (*EXPECTED_WARNINGS, *more):
            warnings.filterwarnings("ignore", message=message)
        yield


def make_trainer(
    folder: Path, callbacks: list[pl.Callback], bar: bool, ranks: Ranks = ALONE, **settings: Any
) -> pl.Trainer:
    """Build a Trainer with little output, without its own checkpoints and samplers.

    Args:
        folder: root folder of the trainer's files.
        callbacks: callbacks in addition to the progress bar.
        bar: show a progress bar, if the output is a terminal.
        ranks: the processes that train together.
        settings: further arguments of Lightning's Trainer.

    Raises:
        UotaError: the accelerator is unavailable, or has too few devices.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with _translate_devices(settings.get("accelerator", "auto"), ranks.together):
        return _trainer(folder, callbacks, bar, ranks, **settings)


def _trainer(folder: Path, callbacks: list[pl.Callback], bar: bool, ranks: Ranks, **settings: Any) -> pl.Trainer:
    bar = bar and Console().is_terminal
    return pl.Trainer(
        callbacks=[*callbacks, *([RunBar()] if bar else [])],
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=bar,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        devices=ranks.devices,
        num_nodes=ranks.nodes,
        plugins=[DirectCheckpointIO(), *slurm_plugins()],
        strategy=_strategy(ranks),
        **settings,
    )


def _strategy(ranks: Ranks) -> Strategy | str:
    if ranks.together == 1:
        return "auto"
    if ranks.strategy == "fsdp2":
        # The checkpoint is one file with everything, as of any other run, instead of one file of each process.
        return ModelParallelStrategy(ranks.together, tensor_parallel_size=1, save_distributed_checkpoint=False)
    # Gradients are kept in the buffers in which they are sent, which saves their copies.
    return DDPStrategy(gradient_as_bucket_view=True, static_graph=ranks.same_graph)


@contextmanager
def _translate_devices(accelerator: str, devices: int) -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, ImportError, MisconfigurationException) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        several = f" with {devices} devices" if devices > 1 else ""
        raise UotaError(f"accelerator {accelerator!r} cannot be used{several}: {reason}; choose auto") from error


def build_loggers(folder: Path) -> list[Logger]:
    """Build a CSV logger, and a TensorBoard logger if that is installed."""
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]
    if find_spec("tensorboard"):
        loggers.append(TensorBoardLogger(folder, name="logs"))
    return loggers


def lock_on_first_rank(folder: Path) -> AbstractContextManager[None]:
    """Lock a folder in the first process of a training, on behalf of all of them.

    Raises:
        UotaError: another training uses the folder, or it cannot be written to.
    """
    return hold(folder, RUN | EVALUATION) if _is_first() else nullcontext()


def _is_first() -> bool:
    """Whether this is the process that the user started; Lightning starts the others."""
    return getattr(rank_zero_only, "rank", 0) == 0


@contextmanager
def translate_stops(trainer: pl.Trainer, folder: Path, again: str) -> Iterator[None]:
    """Translate what stops a training early: signals, full disks, and worker processes that died.

    Args:
        trainer: trainer of the training.
        folder: folder that it writes to.
        again: instruction to resume, which ends the message.

    Raises:
        StoppedError: a signal asked to stop; the state is saved.
        UotaError: the folder cannot be written to, or a worker process died.
    """
    with stop_requests() as request:
        try:
            yield
        except (Interruption, SIGTERMException) as stopped:
            _stop(trainer, stopped, again)
        except OSError as error:
            raise UotaError(
                f"training stopped: {error}; if {folder} is full or cannot be written, make room, then {again} "
                "(the last checkpoint is intact)"
            ) from error
        except RuntimeError as error:
            if not str(error).startswith(DEAD_PROCESS):
                raise
            raise UotaError(
                "a process that loads images was killed, perhaps because memory ran out; "
                f"use fewer --workers and {again} (the last checkpoint is intact)"
            ) from error
        if request.number:
            _stop(trainer, Interruption(request.number), again)


def _stop(trainer: pl.Trainer, stopped: BaseException, again: str) -> NoReturn:
    if not _is_first():
        raise SystemExit(0) from stopped  # on any other code, Lightning kills the first process before it has reported
    number = stopped.number if isinstance(stopped, Interruption) else signal.SIGTERM
    if isinstance(stopped, Interruption) and stopped.at_once:
        raise StoppedError(
            f"stopped at once, without saving the work since the last checkpoint; {again}", number
        ) from None
    raise StoppedError(f"stopped at step {trainer.global_step}; {again}", number) from None
