"""What PyTorch frees on a processor stays with the process, for the next step asks for the same blocks."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# Of mallopt, from glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
GROW_BY_BYTES = 64 << 20


def keep_freed_memory() -> bool:
    """Tell glibc neither to map large blocks one by one nor to give freed memory back; whether it could be told.

    By default each large tensor is mapped anew, and the kernel clears its pages anew, at every step: a fifth of the
    processor time of a small U-Net's step (docs/performance.md). Nothing happens where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # musl has a mallopt that does nothing
        return False
    return all(
        library.mallopt(option, value) == 1
        for option, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1), (TOP_PAD, GROW_BY_BYTES))
    )
