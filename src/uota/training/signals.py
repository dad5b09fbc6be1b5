"""Signals that ask to stop: Ctrl-C, and what schedulers, containers and closing terminals send.

A training finishes its step, saves and stops (`stop_requests`); any other work ends with a sentence (`raise_signals`).
SIGHUP and SIGTERM that are ignored, as `nohup` has SIGHUP ignored, stay ignored; outside the main thread nothing is
installed.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Signals so close together, in seconds, are one request: some schedulers send two kinds at a time.
TOGETHER = 1.0

Handler = Callable[[int, FrameType | None], None]


class Interruption(BaseException):
    """A signal asked to stop. Like KeyboardInterrupt it is not an Exception, so that no handler of errors catches it.

    Attributes:
        number: of the signal.
        at_once: it was not the first, so nothing is saved.
    """

    def __init__(self, number: int, at_once: bool = False) -> None:
        super().__init__(number, at_once)
        self.number, self.at_once = number, at_once


class StopRequest:
    """What signals asked of a training.

    Attributes:
        number: of the first signal; 0: there was none.
        by_agreement: several processes train together and stop at a step that they agree on, never between steps.
    """

    def __init__(self) -> None:
        self.number = 0
        self.by_agreement = False
        self._asked = 0.0
        self._interruptible = False
        self._installed: dict[int, Any] = {}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: note it, or raise where that loses nothing, or where it is the second."""
        if self.number and time.monotonic() - self._asked > TOGETHER:
            raise Interruption(number, at_once=True)
        if not self.number:
            self.number, self._asked = number, time.monotonic()
            with suppress(OSError):  # not print: a signal may come while something is printed
                os.write(2, b"\nstopping; what is done will be saved, a second signal stops at once\n")
        self._raise_between_steps()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Mark work between two steps, such as waiting for images: a signal need not wait for its end."""
        self._interruptible = True
        try:
            self._raise_between_steps()
            yield
        finally:
            self._interruptible = False

    def install(self) -> None:
        """Handle signals again, in place of handlers that were installed since."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._installed.items():
                signal.signal(number, handler)

    def _raise_between_steps(self) -> None:
        if self.number and self._interruptible and not self.by_agreement:
            raise Interruption(self.number)


_requests: list[StopRequest] = []


def current_request() -> StopRequest:
    """The request of the training that runs in this process; outside of one, a request that is never made."""
    return _requests[-1] if _requests else StopRequest()


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note signals that ask to stop, for a training that saves first."""
    request = StopRequest()
    with _handled_by(request, STOPPING) as request._installed:
        _requests.append(request)
        try:
            yield request
        finally:
            _requests.remove(request)


def raise_if_stopped() -> None:
    """Raise what a signal asked for while a training saved: between training and testing, for one."""
    if number := current_request().number:
        raise Interruption(number)


@contextmanager
def raise_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an `Interruption`, so that what is half done is cleaned up; Python has Ctrl-C so."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise Interruption(number)

    with _handled_by(handle, (signal.SIGTERM, signal.SIGHUP)):
        yield


@contextmanager
def hold_back_signals() -> Iterator[None]:
    """Keep signals for later while processes start, which inherit that until they have handlers of their own."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent() -> None:
    """Ignore signals that ask to stop, unless the parent sends them, in a process that works for its parent.

    torch and multiprocessing send SIGTERM to such a process when it does not end by itself.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGHUP])
    if hasattr(signal, "sigwaitinfo"):  # macOS does not tell who sent a signal, and has it held back
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # in all threads, or one would die of it
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
    # None: a handler that was not installed by Python, and could not be put back. Shells have SIGINT ignored in what a
    # script starts in the background, where a person who sends it by name means it all the same.
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
