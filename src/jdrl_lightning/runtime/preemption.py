"""Preemption: on SIGTERM or SIGUSR1 a training saves, exits, and asks by its exit code to be requeued."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["REQUEUE", "Notice", "notice", "requeueing"]

REQUEUE = 75  # the exit code EX_TEMPFAIL of sysexits.h: a temporary failure, start again
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Notice:
    """The signal handler. As long as there is nothing to save, it exits with ``REQUEUE`` at once.

    Attributes:
        received: whether a signal has arrived.
        deferred: whether to record the signal only; a callback then checks ``received``, saves and exits.
    """

    def __init__(self) -> None:
        self.received = self.deferred = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.received = True
        if not self.deferred:
            raise SystemExit(REQUEUE)

    def install(self) -> None:
        """Install this handler, replacing any earlier one; no effect outside the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self)


notice = Notice()


@contextmanager
def requeueing() -> Iterator[None]:
    """Handle the signals with ``notice`` inside the block, and restore the earlier handlers after it."""
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    notice.received = notice.deferred = False
    notice.install()
    try:
        yield
    finally:
        notice.received = notice.deferred = False
        if threading.current_thread() is threading.main_thread():
            for number, handler in previous.items():
                signal.signal(number, handler)
