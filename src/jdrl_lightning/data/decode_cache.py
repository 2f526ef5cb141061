"""A cache of files that decode without error, keyed by path, size and modification time."""

from __future__ import annotations

import json
from pathlib import Path

from jdrl_lightning.io.atomic import atomic_write

__all__ = ["Decoded"]

_KNOWN: dict[str, list[int]] = {}  # shared by all data sets of this process


class Decoded:
    """A set of decoded files, kept for the process and, given a folder, across processes in its ``decoded.json``."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self._file = None if folder is None else Path(folder) / "decoded.json"
        self._known = _KNOWN
        self._known.update(_stored(self._file))

    def __contains__(self, path: Path) -> bool:
        return self._known.get(str(path.resolve())) == _state(path)

    def add(self, path: Path) -> None:
        """Add the file in its current state."""
        self._known[str(path.resolve())] = _state(path)

    def save(self) -> None:
        """Write ``decoded.json``, if there is a folder."""
        if self._file is not None:
            with atomic_write(self._file, "w") as file:
                json.dump(self._known, file)


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _stored(file: Path | None) -> dict[str, list[int]]:
    """What an earlier process wrote; empty if the file is damaged, so that files are decoded again."""
    if file is None or not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
