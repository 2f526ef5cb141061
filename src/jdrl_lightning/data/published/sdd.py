"""SDD: photographs of a HUAWEI X2381-VG camera with shifted and zoomed sharp partners; JDRL's own data set.

Source: Li et al., Learning Single Image Defocus Deblurring with Misaligned Training Pairs, AAAI 2023: 115 training
pairs as 4,830 patches of 512×512 px, 35 test pairs, 8-bit PNG; no validation split.
"""

from __future__ import annotations

import re
from pathlib import Path

from torch.utils.data import Dataset

from jdrl_lightning.data.pairing import PairPaths, match_by_name, pictures
from jdrl_lightning.data.published.common import check_count, home, published
from jdrl_lightning.data.published.filename_matching import natural
from jdrl_lightning.data.splits import hash_split, tail_split
from jdrl_lightning.types import Pair

__all__ = ["find", "photograph", "sdd"]

COUNTS = {"train_patches": 4830, "train": 115, "test": 35}
TREE = "<root>/{train_patches,test}/{blur,gt}/*.png, or train instead of train_patches for whole images"
_PATCH = re.compile(r"(.*?\d+)(?:[_-]\d+)+")


def sdd(
    split: str,
    seed: int,
    crop: int | None,
    root: str | Path,
    val_fraction: float = 0.1,
    register: str = "none",
    store: str = "files",
) -> Dataset[Pair]:
    """Partners have the same name. ``val`` is ``val_fraction`` of the training patches, see :func:`find`."""
    return published("sdd", lambda: find(Path(root), split, val_fraction), split, crop, root, register, store)


def find(root: Path, split: str, val_fraction: float = 0.1) -> list[PairPaths]:
    """The files of one split.

    If every name contains its patch's photograph, all patches of a photograph are in the same split. Otherwise the last
    patches in natural order are held out: if numbered by photograph, at most one photograph is divided.

    Raises:
        UserError: the folder has another layout, a file has no partner, or ``val_fraction`` leaves a split empty.
    """
    kinds = ["test"] if split == "test" else ["train_patches", "train"]
    inside, kind = home(root, ("SDD",), kinds, f"SDD's {kinds[0]}", TREE)
    folder = inside / kind
    blurry, sharp = (pictures(folder / side, f"expected {TREE}") for side in ("blur", "gt"))
    check_count(len(blurry), COUNTS[kind], "pairs", folder)
    places = sorted(match_by_name(blurry, sharp), key=lambda place: natural(place.name))
    if split == "test":
        return places
    photographs = {place: photograph(place.name) for place in places}
    if None in photographs.values() or len(set(photographs.values())) < 2:
        return tail_split(places, split, val_fraction, folder)
    return hash_split(places, split, val_fraction, folder, lambda place: str(photographs[place]))


def photograph(name: str) -> str | None:
    """The photograph of a patch, ``DSC_0012`` for ``DSC_0012_3`` or ``DSC_0012_3_1``; None if the name has none."""
    match = _PATCH.fullmatch(name)
    return None if match is None else match[1]
