"""What a process that loads or renders pairs does with signals and errors."""

from __future__ import annotations

import signal
import sys
from types import TracebackType

__all__ = ["prepare_worker"]


def prepare_worker(worker: int) -> None:
    """Ignore SIGTERM/SIGUSR1 in workers so the trainer can finish and save; suppress errors once it has exited."""
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, ConnectionError | EOFError):  # raised by the thread that sends batches
            previous(kind, error, trace)

    sys.excepthook = hook
