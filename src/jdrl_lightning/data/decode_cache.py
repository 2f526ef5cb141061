"""Files that this process has decoded, or found to match their checksums, by path, size and modification time."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_checked", "mark_checked"]

_KNOWN: dict[Path, tuple[int, int]] = {}


def is_checked(path: Path) -> bool:
    """Whether the file was checked and has not changed since."""
    return _KNOWN.get(path.resolve()) == _state(path)


def mark_checked(path: Path) -> None:
    """Remember the file in its current state."""
    _KNOWN[path.resolve()] = _state(path)


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
