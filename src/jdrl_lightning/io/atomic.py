"""Files are written whole or not at all: a temporary file in the same folder, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from jdrl_lightning.errors import UserError

__all__ = ["atomic_write", "clear_temporaries", "disk_problem", "writing"]

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_REASONS = {
    errno.ENOSPC: "the disk is full; make room there",
    errno.EDQUOT: "your share of the disk is used up; make room there",
    errno.EFBIG: "files may not become as large as this here; raise the limit (ulimit -f)",
    **dict.fromkeys(_REFUSED, "may not be written here; get the permission or give another folder"),
}


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that takes ``path``'s place when the block ends, and vanishes if it fails.

    Killed at any moment, the process leaves the old file or the new one under ``path``, never a part.

    Raises:
        UserError: ``path`` is there and no file: a folder, or a device that must not be replaced. Or the disk is full,
            or does not let us write.
    """
    target = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with writing(target):
        if target.exists() and not target.is_file():
            raise UserError(f"{target}: is no file that could be replaced; give another path")
        target.parent.mkdir(parents=True, exist_ok=True)
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


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever the disk refuses while ``path`` is written is said in one line.

    Raises:
        UserError: the disk is full, or does not let us write.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = disk_problem(error, path)
        if told is None:
            raise
        raise UserError(told) from error


def disk_problem(error: BaseException | None, path: str | os.PathLike[str] | None = None) -> str | None:
    """The line for an ``error`` that the disk caused, named after ``path`` or else the file in question.

    torch.save hides the disk's error behind one of its own, so what led to ``error`` is looked at too. None: the disk
    did not cause it.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _REASONS:
            return f"{path or error.filename or 'the run folder'}: {_REASONS[error.errno]}"
        error = error.__cause__ or error.__context__
    return None


def clear_temporaries(folder: str | os.PathLike[str]) -> None:
    """Remove what a killed process left of unfinished writes, in ``folder`` and below; nobody may be writing there."""
    for leftover in Path(folder).rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)
