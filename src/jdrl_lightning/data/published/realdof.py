"""RealDOF, 50 scenes shot by two cameras through a beam splitter: a test set.

Source: Lee et al., Iterative Filter Adaptive Network for Single Image Defocus Deblurring, CVPR 2021.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch.utils.data import Dataset

from jdrl_lightning.data.pairing import PairPaths, pictures
from jdrl_lightning.data.published.common import check_count, home, published
from jdrl_lightning.data.published.filename_matching import match_in_order, shots
from jdrl_lightning.types import Pair

__all__ = ["find", "realdof"]

TREE = "<root>/{source,target}/*.png"


def realdof(
    split: str,
    seed: int,
    crop: int | None,
    root: str | Path,
    register: str = "none",
    store: str = "files",
    bit_depth: int | None = None,
) -> Dataset[Pair]:
    """The 50 blurry images and their sharp partners."""
    files = partial(find, Path(root))
    return published("realdof", files, split, crop, root, register, store, ("test",), bit_depth)


def find(root: Path) -> list[PairPaths]:
    """The files, paired in order of names.

    Raises:
        UserError: the folder has another layout, or a file has no partner.
    """
    folder, _ = home(root, ("RealDOF",), ["source"], "RealDOF", TREE)
    blurry, sharp = (shots(pictures(folder / kind, f"expected {TREE}")) for kind in ("source", "target"))
    check_count(len(blurry), 50, "pairs", folder)
    return [PairPaths(path.stem, path, partner) for path, partner in match_in_order(blurry, sharp).items()]
