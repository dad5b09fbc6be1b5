"""Processes that tests start, with a deadline and never beyond the end of the test, and signals to this process."""

import multiprocessing
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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


def run_commands_on_ranks(
    commands: Sequence[Sequence[str]], ranks: int, prepare: Callable[[], None] | None = None
) -> None:
    """Run commands of `uota` one after the other in several processes, in the environment that torchrun gives.

    Args:
        commands: arguments of each.
        ranks: number of processes.
        prepare: called in each process first.
    """
    run_on_ranks(_run_commands, commands, ranks, free_ports(len(commands)), prepare, ranks=ranks)


def _run_commands(
    rank: int,
    commands: Sequence[Sequence[str]],
    ranks: int,
    ports: Sequence[int],
    prepare: Callable[[], None] | None,
) -> None:
    from uota.commands.cli import main  # not above: shapes are checked in what is imported after conftest.py

    torch.set_num_threads(1)
    if prepare is not None:
        prepare()
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1"}
    for command, port in zip(commands, ports, strict=True):
        os.environ["MASTER_PORT"] = str(port)
        assert main(list(command)) == 0


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


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


class SignallingSource:
    """A source of images that sends signals to this process when images are requested for the nth time."""

    def __init__(self, source: Any, at: int, *numbers: int) -> None:
        self.source, self.left, self.numbers = source, at, numbers

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def __len__(self) -> int:
        return len(self.source)

    def images(self, indices: Sequence[int]) -> Any:
        self.left -= 1
        if self.left == 0:
            for number in self.numbers:
                signal.raise_signal(number)
        return self.source.images(indices)
