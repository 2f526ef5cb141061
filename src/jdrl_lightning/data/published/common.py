"""What the published sets have in common: a tree to be found, a known number of pictures, splits they may not have."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from torch.utils.data import Dataset

from jdrl_lightning.data.open_pairs import opened
from jdrl_lightning.data.pairing import PairPaths
from jdrl_lightning.data.pairs import FilePairs
from jdrl_lightning.errors import UserError
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
) -> Dataset[Pair]:
    """The split of the set ``name`` whose files ``find`` finds; only training is cropped.

    Raises:
        UserError: a split that the set does not have, or what finding, checking and opening say.
    """
    if split not in SPLITS:
        raise UserError(f"split={split}: must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}")
    if split not in splits:
        raise UserError(
            f"data={name} is for testing only and has no {split} split: train on another data set; "
            f"evaluate and doctor take data={name} with split=test"
        )
    cropped = crop if split == "train" else None
    return opened(lambda show: FilePairs(find(), cropped, progress=show), split, root, register, store)


def home(root: Path, inner: tuple[str, ...], marks: list[str], what: str, expected: str) -> tuple[Path, str]:
    """The folder of a set, which is ``root`` or one of those named ``inner`` in it, and the first of ``marks`` there.

    Args:
        marks: folders, relative to the set's, of which one at least belongs to the tree.

    Raises:
        UserError: there is none; says what is ``expected``.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; set data.root to that of {what}: expected {expected}")
    for folder in (root, *(root / name for name in inner)):
        for mark in marks:
            if (folder / mark).is_dir():
                return folder, mark
    raise UserError(f"{root}: {what} is not in it; expected {expected}")


def check_count(found: int, expected: int, what: str, folder: Path) -> None:
    """Warn of a split that is not the published one: figures measured on it compare with no others."""
    if found != expected:
        log.warning(
            "%s: %s, but the published split has %s; what is measured with it does not compare with published figures",
            folder, f"{found:,} {what}", f"{expected:,}",
        )  # fmt: skip
