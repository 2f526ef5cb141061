"""Memory that a process occupies, as counted by Linux."""

from __future__ import annotations

from pathlib import Path

__all__ = ["resident_mib"]


def resident_mib(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process; unlike ``ru_maxrss`` not inherited from the parent."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field)) / 1024
