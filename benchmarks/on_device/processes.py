"""Processes with a time limit, whose children end with them."""

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
        name: for the reader.
        popen: the process.
        began: seconds of the monotonic clock.
        log: what it prints.
        limit: seconds after which it is stopped.
    """

    name: str
    popen: subprocess.Popen[bytes]
    began: float
    log: Path
    limit: float

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def ended(self) -> str | None:
        """How it ended: `ok`, `failed` or `over its … s`, of which it is stopped here; None: it runs."""
        code = self.popen.poll()
        if code is not None:
            return "ok" if code == 0 else "failed"
        if self.seconds <= self.limit:
            return None
        self.stop()
        return f"over its {self.limit:.0f} s"

    def stop(self) -> None:
        """End it and all that it started."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def last_lines(self, count: int) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def start(
    name: str, arguments: Sequence[str], log: Path, limit: float, source: Path, card: bool, threads: int
) -> Process:
    """Start `python -m ARGUMENTS` with the package of a tree.

    Args:
        name: for the reader.
        arguments: the module and its arguments.
        log: where its output goes, both streams.
        limit: seconds.
        source: the tree's `src`.
        card: it may see the accelerator.
        threads: that it may use for computing.
    """
    environment = os.environ | dict.fromkeys(THREADS, str(threads)) | ({} if card else {"CUDA_VISIBLE_DEVICES": ""})
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(source), environment.get("PYTHONPATH"))))
    command = [sys.executable, "-m", *arguments]
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    return Process(name, popen, time.monotonic(), log, limit)
