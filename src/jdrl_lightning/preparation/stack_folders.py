"""Which files are the frames of which focus stack."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

from jdrl_lightning.data.pair_folders import subfolders
from jdrl_lightning.data.published.filename_matching import natural
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, image_files

__all__ = ["find_stacks", "reference_of"]


def find_stacks(folder: Path, frames: str = "*") -> dict[str, list[Path]]:
    """The frames of each stack by its name: of ``folder`` if it has any, else of its subfolders that have.

    Args:
        folder: of frames, which sorted by name, numbers by value, are in the order of their focus; or of such folders.
        frames: pattern of the names of frames.

    Raises:
        UserError: no frames, a single one, frames of different sizes or of the same name.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; set input to a folder of frames, or of such folders")
    stacks = {folder.resolve().name: _frames(folder, frames)}
    if not any(stacks.values()):
        stacks = {place.name: files for place in subfolders(folder) if (files := _frames(place, frames))}
    if not stacks:
        raise UserError(f"{folder}: no pictures with names like {frames!r}, here or in subfolders; set input or frames")
    for name, files in stacks.items():
        _check(name, files)
    return stacks


def reference_of(files: Sequence[Path], wanted: str) -> int:
    """Index of the frame ``middle``, ``first``, ``last``, or with the file name ``wanted``, the suffix optional.

    Raises:
        UserError: there is no such frame.
    """
    if wanted in (named := {"middle": len(files) // 2, "first": 0, "last": len(files) - 1}):
        return named[wanted]
    for number, file in enumerate(files):
        if wanted in (file.name, file.stem):
            return number
    raise UserError(f"{files[0].parent}: no frame {wanted!r}; set reference to middle, first, last or a file's name")


def _frames(folder: Path, pattern: str) -> list[Path]:
    chosen = [file for file in image_files(folder) if fnmatch(file.name, pattern)]
    return sorted(chosen, key=lambda file: natural(file.name))


def _check(name: str, files: Sequence[Path]) -> None:
    if len(files) < 2:
        raise UserError(f"{files[0]}: the only frame of the stack {name}; a stack has at least two")
    first = header(files[0])
    for before, file in pairwise(files):
        size = header(file)
        if size[:2] != first[:2]:
            raise UserError(
                f"{file}: {size.width}x{size.height} pixels, but {files[0].name} has {first.width}x{first.height}; "
                "remove the odd one, or leave it out with frames=…"
            )
        if file.stem == before.stem:
            raise UserError(f"{file}: {before.name} has the same name; remove one, or leave it out with frames=…")
