"""PixelDP: Pixel 4 photographs without sharp partners, for visual inspection.

Source: Abuolaim and Brown, Defocus Deblurring Using Dual-Pixel Data, ECCV 2020.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch.utils.data import Dataset

from jdrl_lightning.data.pairing import PairPaths, pictures
from jdrl_lightning.data.published.common import home, published
from jdrl_lightning.types import Pair

__all__ = ["find", "pixeldp"]

TREE = "<root>/test_c/source/*.png, or <root>/test_c/*.png"


def pixeldp(
    split: str,
    seed: int,
    crop: int | None,
    root: str | Path,
    register: str = "none",
    store: str = "files",
    bit_depth: int | None = None,
) -> Dataset[Pair]:
    """The centre views; ``sharp`` is the blurry image and ``has_sharp`` is False."""
    files = partial(find, Path(root))
    return published("pixeldp", files, split, crop, root, register, store, ("test",), bit_depth)


def find(root: Path) -> list[PairPaths]:
    """The files, sorted by name.

    Raises:
        UserError: the folder has another layout.
    """
    folder, mark = home(root, ("PixelDP",), ["test_c/source", "test_c"], "PixelDP", TREE)
    return [PairPaths(path.stem, path, None) for path in pictures(folder / mark, f"expected {TREE}")]
