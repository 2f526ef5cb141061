"""Shared by the published data sets: finding their folders, checking counts and splits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from os.path import isdir
from pathlib import Path

from torch.utils.data import Dataset

from jdrl_lightning.data.open_pairs import opened
from jdrl_lightning.data.pair_folders import subfolders
from jdrl_lightning.data.pairing import PairPaths
from jdrl_lightning.data.pairs import FilePairs
from jdrl_lightning.errors import UserError, and_more
from jdrl_lightning.types import Pair

__all__ = ["check_count", "home", "published"]

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")


def published(
    name: str,
    find: Callable[[], list[PairPaths]],
    split: str,
    crop: int | None,
    root: str | Path,
    register: str,
    store: str,
    splits: tuple[str, ...] = SPLITS,
    bit_depth: int | None = None,
) -> Dataset[Pair]:
    """A split of the data set ``name``, whose files ``find`` lists; only training pairs are cropped.

    Raises:
        UserError: a split that the data set does not have, or an error of finding, checking or opening the files.
    """
    if split not in SPLITS:
        raise UserError(f"split={split}: must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}")
    if split not in splits:
        raise UserError(
            f"data={name} is for testing only and has no {split} split: train on another data set; "
            f"use evaluate or doctor with data={name} split=test"
        )
    cropped = crop if split == "train" else None
    return opened(lambda show: FilePairs(find(), cropped, progress=show), split, root, register, store, bit_depth)


def home(root: Path, inner: tuple[str, ...], marks: list[str], what: str, expected: str) -> tuple[Path, str]:
    """The folder of a data set, ``root`` or a subfolder in ``inner``, and the first of ``marks`` that it has.

    Otherwise the only other subfolder that has one, or the parent if ``root`` is the folder of a split; a warning
    names it.

    Args:
        marks: subfolders that identify the data set; at least one must exist.

    Raises:
        UserError: none or several found; the message has the ``expected`` layout, and what is there.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; set data.root to the folder of {what}: expected {expected}")
    for folder in (root, *(root / name for name in inner)):
        for mark in marks:
            if (folder / mark).is_dir():
                return folder, mark
    inside, above = subfolders(root), root.absolute()
    near = [(folder, mark) for folder in inside for mark in marks if isdir(folder / mark)]  # unreadable: no
    if above.name.startswith(SPLITS):
        near += [(above.parent, m) for m in marks if m.startswith(SPLITS) and (above.parent / m).is_dir()]
    folders = list(dict.fromkeys(folder for folder, _ in near))
    if len(folders) == 1:
        log.warning("%s: taking %s from %s", root, what, folders[0])
        return near[0]
    if folders:
        raise UserError(f"{root}: {what} could be {' or '.join(map(str, folders))}; set data.root to one of them")
    there = f"; found {and_more([f'{folder.name}/' for folder in inside], 6)}" if inside else ""
    raise UserError(f"{root}: {what} not found; expected {expected}{there}")


def check_count(found: int, expected: int, what: str, folder: Path) -> None:
    """Warn if a split has not the published size: its metrics are then not comparable with published ones."""
    if found != expected:
        log.warning(
            "%s: %s, but the published split has %s; metrics on it are not comparable with published ones",
            folder, f"{found:,} {what}", f"{expected:,}",
        )  # fmt: skip
