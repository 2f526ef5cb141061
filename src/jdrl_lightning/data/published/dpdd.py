"""DPDD: Canon dual-pixel photographs at f/4 and f/22, in the authors' layout or one of two common ones.

Source: Abuolaim and Brown, Defocus Deblurring Using Dual-Pixel Data, ECCV 2020: 350, 74 and 76 scenes of 1680×1120 px
(some in portrait format), 16-bit PNG.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch.utils.data import Dataset

from jdrl_lightning.data.pairing import PairPaths, pictures
from jdrl_lightning.data.published.common import check_count, home, published
from jdrl_lightning.data.published.filename_matching import Shots, match_in_order, shots
from jdrl_lightning.types import Pair

__all__ = ["dpdd", "find"]

SCENES = {"train": 350, "val": 74, "test": 76}
TREE = (
    "<root>/{train,val,test}_c/{source,target}/*.png (views: _l/source, _r/source), or "
    "<root>/{train,val,test}/{inputC,target}/*.png (views: inputL, inputR; crops: inputC_crops, target_crops)"
)


class Folders(NamedTuple):
    """The folders of one split in one layout, relative to the data set's."""

    blurry: str
    sharp: str
    left: str
    right: str
    cropped: bool


def dpdd(
    split: str,
    seed: int,
    crop: int | None,
    root: str | Path,
    views: bool = False,
    register: str = "none",
    store: str = "files",
    bit_depth: int | None = None,
) -> Dataset[Pair]:
    """The centre views and their sharp partners; ``views`` adds the dual-pixel views as extras ``left``, ``right``."""
    files = partial(find, Path(root), split, views)
    return published("dpdd", files, split, crop, root, register, store, bit_depth=bit_depth)


def find(root: Path, split: str, views: bool = False) -> list[PairPaths]:
    """The files of one split. The numbers of source and target differ by one, up or down: they are paired in order.

    Raises:
        UserError: the folder has another layout, or a file has no partner.
    """
    known = {layout.blurry: layout for layout in layouts(split)}
    folder, mark = home(root, ("dd_dp_dataset_canon", "DPDD"), list(known), f"the {split} split of DPDD", TREE)
    layout = known[mark]

    def grouped(kind: str) -> Shots:
        return shots(pictures(folder / kind, f"expected {TREE}"), layout.cropped)

    blurry = grouped(layout.blurry)
    check_count(len(blurry), SCENES[split], "scenes", folder / layout.blurry)
    sharp = match_in_order(blurry, grouped(layout.sharp))
    pairs = [PairPaths(path.stem, path, partner) for path, partner in sharp.items()]
    if not views:
        return pairs
    left, right = match_in_order(blurry, grouped(layout.left)), match_in_order(blurry, grouped(layout.right))
    return [place._replace(views=(left[place.blurry], right[place.blurry])) for place in pairs]


def layouts(split: str) -> list[Folders]:
    """The known layouts of a split in order of preference: crops for training, whole images otherwise."""
    authors = Folders(f"{split}_c/source", f"{split}_c/target", f"{split}_l/source", f"{split}_r/source", cropped=False)
    whole, crops = (_inside(split, ending) for ending in ("", "_crops"))
    return [authors, *{"train": (crops, whole), "val": (whole, crops), "test": (whole,)}[split]]


def _inside(split: str, ending: str) -> Folders:
    blurry, sharp, left, right = (f"{split}/{kind}{ending}" for kind in ("inputC", "target", "inputL", "inputR"))
    return Folders(blurry, sharp, left, right, cropped=bool(ending))
