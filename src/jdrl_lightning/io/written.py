"""Which formats are written, and what each can hold."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["JPEG", "TIFF", "WRITTEN", "misfit", "written_suffix"]

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
TIFF = (".tif", ".tiff")
WRITTEN = (".png", *JPEG, *TIFF)


def written_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of a file made from ``path``: the same if it is a format that is written, otherwise ``.png``."""
    suffix = os.path.splitext(path)[1]  # several times as fast as pathlib
    return suffix if suffix.lower() in WRITTEN else ".png"


def misfit(path: Path, depth: int, alpha: bool = False, others: int = 0) -> tuple[str, str] | None:
    """What a file of this name cannot hold, and the suffixes of those that can, both in words; None: it holds all.

    Args:
        path: its suffix is the format.
        depth: bits per channel, 8 or 16.
        alpha: whether there is an alpha channel.
        others: number of channels of unspecified meaning.
    """
    suffix = path.suffix.lower()
    if suffix in TIFF or (suffix == ".png" and not others):
        return None
    if suffix in JPEG and depth == 8 and not alpha and not others:
        return None
    kind = f"{'an' if depth == 8 else 'a'} {depth}-bit image{' with alpha' if alpha else ''}"
    if others:
        return f"{kind} with {others} channels of unspecified meaning", ".tif"
    return kind, ".png or .tif"
