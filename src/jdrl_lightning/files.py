"""Files are written whole or not at all: a temporary file in the same folder, flushed to the disk, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from jdrl_lightning.errors import UserError

__all__ = ["atomic_write", "clear_temporaries"]


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that takes ``path``'s place when the block ends, and vanishes if it fails.

    Killed at any moment, the process leaves the old file or the new one under ``path``, never a part.

    Raises:
        UserError: ``path`` is there and no file: a folder, or a device that must not be replaced.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        raise UserError(f"{target}: is no file that could be replaced; give another path")
    target.parent.mkdir(parents=True, exist_ok=True)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(descriptor, mode, **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files that only their owner can read
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def clear_temporaries(folder: str | os.PathLike[str]) -> None:
    """Remove what a killed process left of unfinished writes, in ``folder`` and below; nobody may be writing there."""
    for leftover in Path(folder).rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)
