"""CUHK's blur detection set: photographs from the web without sharp partners, for visual inspection.

Source: Shi, Xu and Jia, Discriminative Blur Detection Features, CVPR 2014.
"""

from __future__ import annotations

from pathlib import Path

from torch.utils.data import Dataset

from jdrl_lightning.data.pairing import PairPaths, pictures
from jdrl_lightning.data.published.common import published
from jdrl_lightning.types import Pair

__all__ = ["cuhk", "find"]

TREE = "<root>/*.jpg or *.png, all in one folder"


def cuhk(
    split: str, seed: int, crop: int | None, root: str | Path, register: str = "none", store: str = "files"
) -> Dataset[Pair]:
    """The photographs; ``sharp`` is the blurry image and ``has_sharp`` is False."""
    return published("cuhk", lambda: find(Path(root)), split, crop, root, register, store, splits=("test",))


def find(root: Path) -> list[PairPaths]:
    """The files, sorted by name.

    Raises:
        UserError: no images directly in the folder.
    """
    folder = root / "CUHK" if (root / "CUHK").is_dir() else root
    return [PairPaths(path.stem, path, None) for path in pictures(folder, f"expected {TREE}")]
