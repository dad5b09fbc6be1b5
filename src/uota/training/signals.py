"""Handling of signals to stop, which come from Ctrl-C, schedulers, containers and closing terminals.

SIGUSR1 is what SLURM can be asked to send some time before it ends a job (`sbatch --signal`).

A training finishes its step, saves and stops (`stop_requests`); other work is interrupted (`raise_signals`). SIGHUP and
SIGTERM stay ignored if they are ignored already, as SIGHUP is under `nohup`. Handlers can only be installed in the main
thread; in others, nothing is changed.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
# Those that a worker process never gets from its parent, but from a terminal, or from SLURM along with its parent.
NOT_FROM_PARENT = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
# Signals within this many seconds are one request, since some schedulers send two kinds at a time.
SAME_REQUEST = 1.0

Handler = Callable[[int, FrameType | None], None]


class Interruption(BaseException):
    """A signal asked to stop. Like KeyboardInterrupt it is not an Exception, so handlers of errors do not catch it.

    Attributes:
        number: number of the signal.
        at_once: it was the second signal, so nothing is saved.
    """

    def __init__(self, number: int, at_once: bool = False) -> None:
        super().__init__(number, at_once)
        self.number, self.at_once = number, at_once


class StopRequest:
    """A request by signals that a training stop.

    Attributes:
        number: number of the first signal; 0: there was none.
        by_agreement: several processes train together, and stop only after a step on which they agree.
    """

    def __init__(self) -> None:
        self.number = 0
        self.by_agreement = False
        self._asked = 0.0
        self._interruptible = False
        self._installed: dict[int, Any] = {}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: record it, and raise if it is the second one or if that loses no work."""
        if self.number and time.monotonic() - self._asked > SAME_REQUEST:
            raise Interruption(number, at_once=True)
        if not self.number:
            self.number, self._asked = number, time.monotonic()
            with suppress(OSError):  # print is not reentrant, and the signal may interrupt another print
                os.write(2, b"\nstopping after a checkpoint is saved; a second signal stops at once\n")
        self._raise_between_steps()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Mark work between two steps that a signal may interrupt, such as waiting for images."""
        self._interruptible = True
        try:
            self._raise_between_steps()
            yield
        finally:
            self._interruptible = False

    def install(self) -> None:
        """Reinstall the handlers, in place of any that were installed since."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._installed.items():
                signal.signal(number, handler)

    def _raise_between_steps(self) -> None:
        if self.number and self._interruptible and not self.by_agreement:
            raise Interruption(self.number)


_requests: list[StopRequest] = []


def current_request() -> StopRequest:
    """Return the request of the training in this process, or outside of a training one that is never made."""
    return _requests[-1] if _requests else StopRequest()


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Record signals to stop instead of raising them, for a training that saves first."""
    request = StopRequest()
    with _handled_by(request, STOPPING) as request._installed:
        _requests.append(request)
        try:
            yield request
        finally:
            _requests.remove(request)


def raise_if_stopped() -> None:
    """Raise an `Interruption` if a signal was recorded, for example between training and testing."""
    if number := current_request().number:
        raise Interruption(number)


@contextmanager
def raise_signals() -> Iterator[None]:
    """Raise an `Interruption` on SIGTERM, SIGHUP and SIGUSR1, so that unfinished work is cleaned up as after Ctrl-C."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise Interruption(number)

    with _handled_by(handle, (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)):
        yield


@contextmanager
def hold_back_signals() -> Iterator[None]:
    """Block signals while child processes start, which inherit the mask until they have their own handlers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent() -> None:
    """Ignore signals to stop in a worker process, unless its parent sends them.

    torch and multiprocessing send SIGTERM to a worker that does not end by itself.
    """
    for number in NOT_FROM_PARENT:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NOT_FROM_PARENT)
    if hasattr(signal, "sigwaitinfo"):  # without it, as on macOS, the sender is unknown, and SIGTERM stays blocked
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # threads started later inherit the mask
        threading.Thread(target=_end_when_parent_asks, daemon=True).start()


def _end_when_parent_asks() -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)


@contextmanager
def _handled_by(handler: Handler, numbers: tuple[signal.Signals, ...]) -> Iterator[dict[int, Any]]:
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    before = {number: signal.getsignal(number) for number in numbers}
    # A handler of None was not installed by Python and could not be restored, so it is kept. SIGINT is handled even if
    # it is ignored: shells ignore it for the background processes of a script, where it can still be sent on purpose.
    ignored = {number for number, handled in before.items() if handled == signal.SIG_IGN} - {signal.SIGINT}
    before = {number: handled for number, handled in before.items() if handled is not None}
    installed: dict[int, Any] = {number: signal.SIG_IGN if number in ignored else handler for number in before}
    for number, new in installed.items():
        signal.signal(number, new)
    try:
        yield installed
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)
