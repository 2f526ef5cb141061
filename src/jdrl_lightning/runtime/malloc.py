"""Keep freed CPU memory in the process so that the next step can reuse it."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# Options of mallopt, from glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
GROW_BY_BYTES = 64 << 20


def keep_freed_memory() -> bool:
    """Make glibc allocate large blocks from the heap instead of mapping each, and never return freed memory.

    By default each large tensor gets a new mapping in every step and the kernel zeroes its pages: a fifth of the CPU
    time of a small U-Net's step (docs/performance.md).

    Returns:
        Whether it took effect; False without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # musl's mallopt does nothing
        return False
    return all(
        library.mallopt(option, value) == 1
        for option, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1), (TOP_PAD, GROW_BY_BYTES))
    )
