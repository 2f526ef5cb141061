"""Which files of a folder are pictures, and which are left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from jdrl_lightning.io.remarks import remark
from jdrl_lightning.io.written import WRITTEN

__all__ = ["RAW", "SUFFIXES", "folders_from", "image_files"]

HEIF = (".heic", ".heif", ".hif")
RAW = (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".3fr", ".iiq")
OPTIONAL = {"pillow_heif": HEIF, "rawpy": RAW}  # packages of the extra "formats"
INSTALLED = [suffix for package, suffixes in OPTIONAL.items() if find_spec(package) for suffix in suffixes]
SUFFIXES = (*WRITTEN, ".mpo", ".bmp", ".webp", ".avif", *INSTALLED)


def image_files(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, sorted by name; hidden files are skipped, others left out with a line."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    suffixes = [os.path.splitext(name)[1].lower() for name in names]
    left_out = Counter(suffix or name for name, suffix in zip(names, suffixes, strict=True) if suffix not in SUFFIXES)
    if left_out:
        remark(folder, _left_out(left_out))
    return [folder / name for name, suffix in zip(names, suffixes, strict=True) if suffix in SUFFIXES]


def folders_from(folder: Path, without: Path) -> Iterator[Path]:
    """``folder``, and those below it, sorted; hidden ones, links and ``without`` are skipped, unreadable ones named."""

    def unreadable(error: OSError) -> None:
        remark(Path(error.filename), f"{error.strerror}; left out")

    skipped = os.path.realpath(without)
    for place, names, _ in os.walk(folder, onerror=unreadable):
        yield Path(place)
        inside = (name for name in sorted(names) if not name.startswith("."))
        names[:] = [name for name in inside if os.path.realpath(os.path.join(place, name)) != skipped]


def _left_out(counts: Counter[str]) -> str:
    named = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())
    installable = any(suffix in counts for suffixes in OPTIONAL.values() for suffix in suffixes)
    remedy = "; pip install 'jdrl_lightning[formats]' for HEIC and raw files" if installable else ""
    return f"not read, and so left out: {named}{remedy}"
