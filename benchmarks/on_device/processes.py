"""Processes with a time limit that are stopped together with their children."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class Process:
    """A module of this repository that runs in a process session of its own.

    Attributes:
        name: shown to the reader.
        popen: the process.
        began: seconds of the monotonic clock.
        log: file of its output.
        limit: seconds after which it is stopped.
    """

    name: str
    popen: subprocess.Popen[bytes]
    began: float
    log: Path
    limit: float

    @property
    def seconds(self) -> float:
        """Return the seconds since it began."""
        return time.monotonic() - self.began

    def ended(self) -> str | None:
        """Return how it ended: `ok`, `failed`, or `over its … s` if it had to be stopped here; None if it runs."""
        code = self.popen.poll()
        if code is not None:
            return "ok" if code == 0 else "failed"
        if self.seconds <= self.limit:
            return None
        self.stop()
        return f"over its {self.limit:.0f} s"

    def stop(self) -> None:
        """Stop it and all its children."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def last_lines(self, count: int) -> str:
        """Return the last lines of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def start(
    name: str, arguments: Sequence[str], log: Path, limit: float, source: Path, card: bool, threads: int
) -> Process:
    """Start `python -m ARGUMENTS` with the package of a tree.

    Args:
        name: shown to the reader.
        arguments: the module and its arguments.
        log: file of both output streams.
        limit: seconds until it is stopped.
        source: `src` of the tree.
        card: whether it sees the accelerator.
        threads: threads for computing.
    """
    environment = os.environ | dict.fromkeys(THREADS, str(threads)) | ({} if card else {"CUDA_VISIBLE_DEVICES": ""})
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(source), environment.get("PYTHONPATH"))))
    command = [sys.executable, "-m", *arguments]
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    return Process(name, popen, time.monotonic(), log, limit)
