"""The demo's training runs, side by side on a core each."""

import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NamedTuple

import torch

from uota.console import make_streams_tolerant, printable, show_messages
from uota.demo.figures import Figures
from uota.demo.length import Length
from uota.errors import UotaError
from uota.runs.folder import require_free
from uota.settings.pretrain import Pretrain
from uota.training.pretrain import pretrain

# Two views of each thing, as large as the pretrained encoder wants drawings of 64 pixels.
VIEWS = {"views": "groups", "size": 96, "local_views": 0, "refile": False}
RUNTIME = {"threads": 1, "workers": 0, "accelerator": "cpu"}


class Job(NamedTuple):
    """A run to make.

    Attributes:
        settings: of the run.
        out: folder of the run.
        lines: print its progress.
    """

    settings: Pretrain
    out: Path
    lines: bool


def settings_of(data: Path, seed: int, length: Length) -> Pretrain:
    """Return the settings of a run with the default arbiter, from the embedded weights, on the groups as they are.

    Args:
        data: folder of drawings.
        seed: seed of the run.
        length: its number of steps, and of things in each.
    """
    steps = {"steps": length.steps, "batch_size": length.batch_size}
    return Pretrain.from_flat(data=str(data), seed=seed, init="pretrained", **VIEWS, **RUNTIME, **steps)


def train_side_by_side(jobs: list[Job], measure: Callable[[Path], Figures]) -> list[Figures]:
    """Make and measure the runs in processes of their own, and replace earlier runs in their folders.

    Args:
        jobs: the runs.
        measure: measures a run in its folder; must be picklable.

    Raises:
        UotaError: a folder holds other files, or a run failed.
    """
    for job in jobs:
        require_free(job.out, overwrite=True)
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in jobs]
    processes = [
        context.Process(target=_train, args=(job, measure, sender))
        for job, (_, sender) in zip(jobs, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join()
    finally:
        _stop(processes)
    if any(process.exitcode for process in processes):
        raise UotaError("one of the pretraining runs failed; its message is above")
    return [receiver.recv() for receiver, _ in pipes]


def _stop(processes: list[SpawnProcess]) -> None:
    """Have those end that still train, after they have saved."""
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join()


def _train(job: Job, measure: Callable[[Path], Figures], sender: "Connection[Figures, Figures]") -> None:
    make_streams_tolerant()
    torch.set_num_threads(1)
    try:
        with show_messages():
            pretrain(job.settings, job.out, overwrite=True, bar=False, lines=job.lines)
            sender.send(measure(job.out))
    except UotaError as error:
        print(f"uota: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(error.code) from error
