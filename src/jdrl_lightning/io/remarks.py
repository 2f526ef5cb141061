"""What the user should know about a file that is read, said once."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from torch.utils.data import get_worker_info

__all__ = ["remark"]

log = logging.getLogger(__name__)


@cache
def remark(path: Path, text: str) -> None:
    """Log ``<path>: <text>`` once in a process; not in loader workers, whose files the main process has read before."""
    if get_worker_info() is None:
        log.warning("%s: %s", path, text)
