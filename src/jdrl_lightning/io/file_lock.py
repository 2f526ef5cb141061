"""One process at a time, by a lock that the system lifts when its holder ends, however that happens."""

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
    """Wait until no other process is in such a block of the file ``lock``, which stays behind."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("%s: an earlier start is still at work here; this one waits for its end", lock.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            log.warning("%s: cannot be locked; see to it that no earlier start is at work here", lock.parent)
        yield
