"""Processes that tests start: each has a deadline, and none outlives its test."""

import multiprocessing
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch.multiprocessing

SECONDS = 240


def run_command(command: Sequence[str], seconds: float = SECONDS, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and capture what it prints; kill it after some seconds."""
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, **options)


def run_on_ranks(function: Callable[..., None], *arguments: Any, ranks: int = 2) -> None:
    """Call a function in several processes, each with its rank and the arguments, and wait for them.

    They are forks of one process, since importing PyTorch takes longer than most of these functions.
    """
    multiprocessing.set_forkserver_preload(["pytest", "uota.methods.build", "uota.training.resolve"])
    torch.multiprocessing.start_processes(function, arguments, nprocs=ranks, start_method="forkserver")


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command whose standard error can be read, and kill it at the end if it still runs."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = SECONDS / 2) -> None:
    """Wait until a running process has made a condition true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the process has ended with {process.returncode}: {process.communicate()[1]}"
        assert time.monotonic() < deadline, f"nothing has happened for {seconds:.0f} seconds"
        time.sleep(0.05)
