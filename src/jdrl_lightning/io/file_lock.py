"""Inter-process file lock, released by the OS when its owner exits."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["exclusive"]

log = logging.getLogger(__name__)


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold the lock file ``lock`` inside the block, waiting until no other process holds it; the file remains."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("%s is in use by another process; waiting for it to exit", lock.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # the file system does not support locks
            log.warning("%s cannot be locked; make sure that no other process uses it", lock.parent)
        yield
