"""What a cluster says before it takes a machine back, and the answer: save, end, and ask to be started again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["REQUEUE", "Notice", "notice", "requeueing"]

REQUEUE = 75  # the exit code EX_TEMPFAIL of sysexits.h: nothing is wrong, start me again
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Notice:
    """Answers the signals: while there is nothing to save yet, the process ends with ``REQUEUE`` at once.

    Attributes:
        given: whether one has come.
        held: whether somebody looks at ``given`` and ends the process in good order.
    """

    def __init__(self) -> None:
        self.given = self.held = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.given = True
        if not self.held:
            raise SystemExit(REQUEUE)

    def listen(self) -> None:
        """Answer from now on, whoever has before; outside the main thread Python allows nobody to."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self)


notice = Notice()


@contextmanager
def requeueing() -> Iterator[None]:
    """Answer the signals inside the block as ``notice`` does."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    notice.given = notice.held = False
    notice.listen()
    try:
        yield
    finally:
        notice.given = notice.held = False
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
