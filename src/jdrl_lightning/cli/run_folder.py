"""The folder that Hydra makes for each start, and how it is deleted if nothing comes of the start."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["is_fresh", "leave", "leave_unused"]


def is_fresh(folder: Path) -> bool:
    """Whether there is nothing in ``folder`` but what Hydra writes on a start, or there is no such folder."""
    return not folder.exists() or all(path.name == ".hydra" or path.suffix == ".log" for path in folder.iterdir())


def leave(folder: Path, command: str) -> None:
    """Delete what Hydra wrote into ``folder`` for ``command``, and the folder itself if nothing else is in it."""
    if not folder.is_dir():
        return
    for written in folder.glob(f"{command}*.log"):
        written.unlink()
    shutil.rmtree(folder / ".hydra", ignore_errors=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def leave_unused(folder: Path, command: str) -> None:
    """Delete ``folder`` if it has nothing but Hydra's files, and those above it in the working directory if empty."""
    if not (folder / ".hydra").is_dir() or not is_fresh(folder) or Path.cwd().is_relative_to(folder.resolve()):
        return
    leave(folder, command)
    for parent in folder.absolute().parents:
        if Path.cwd() not in parent.parents or any(parent.iterdir()):
            break
        parent.rmdir()
