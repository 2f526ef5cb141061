"""Atomic writes: a temporary file in the same folder, flushed to disk, then renamed."""

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

_KEPT = 200  # bytes of a file's name, at most 255, that its temporary file's begins with
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_REASONS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your disk quota is used up; free some space",
    errno.ENAMETOOLONG: "the file name is too long; shorten it",
    errno.EFBIG: "the file exceeds the size limit; raise it (ulimit -f)",
    **dict.fromkeys(_DENIED, "no permission to write; get it, or choose another folder"),
}


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that replaces ``path`` when the block ends, and is deleted if the block fails.

    If the process is killed, ``path`` is either the old file or the complete new one.

    Raises:
        UserError: ``path`` exists and is not a regular file; the disk is full, or writing is not permitted.
    """
    target = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with writing(target):
        if target.exists() and not target.is_file():
            raise UserError(f"{target} exists and is not a regular file; choose another path")
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name.encode()[:_KEPT].decode(errors='ignore')}."
        descriptor, temporary = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(descriptor, mode, **text) as file:  # type: ignore[call-overload]
                yield file
                file.flush()
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)  # mkstemp's files are readable by their owner only
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn disk errors inside the block, which writes ``path``, into one-line user errors.

    Raises:
        UserError: the disk is full, or writing is not permitted.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        message = disk_problem(error, path)
        if message is None:
            raise
        raise UserError(message) from error


def disk_problem(error: BaseException | None, path: str | os.PathLike[str] | None = None) -> str | None:
    """The message for an ``error`` caused by the disk, naming ``path`` or else the file concerned; None for any other.

    The causes of ``error`` are checked too: torch.save raises an error of its own in place of the disk's.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _REASONS:
            return f"{path or error.filename or 'run folder'}: {_REASONS[error.errno]}"
        error = error.__cause__ or error.__context__
    return None


def clear_temporaries(folder: str | os.PathLike[str]) -> None:
    """Remove temporary files of killed processes in ``folder`` and below; no other process may be writing there."""
    for leftover in Path(folder).rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)
