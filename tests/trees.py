"""Small files with the folders, names and bit depth of the published data sets, written by OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SHOTS = (
    (859, 858),
    (861, 862),
    (871, 873),
    (998, 997),
    (1000, 999),
    (1010, 1011),
)  # (source, target), numbered like DPDD's
SIDES = {"blurry": 1, "sharp": 2, "left": 3, "right": 4}
AUTHORS = {"blurry": "{}_c/source", "sharp": "{}_c/target", "left": "{}_l/source", "right": "{}_r/source"}
RESTORMER = {"blurry": "{}/inputC", "sharp": "{}/target", "left": "{}/inputL", "right": "{}/inputR"}
CROPS = {side: f"{folder}_crops" for side, folder in RESTORMER.items()}


def picture(path: Path, value: int, bits: int = 8, height: int = 12, width: int = 16) -> Path:
    """RGB of ``value``, ``value + 1``, ``value + 2`` everywhere."""
    dtype = {8: np.uint8, 16: np.uint16}[bits]
    blue_first = np.full((height, width, 3), [value + 2, value + 1, value], dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), blue_first)
    return path


def value(scene: int, side: str, crop: int = 0) -> int:
    """The 16-bit value of a scene's image; not a multiple of 257."""
    return 10_007 * scene + 1009 * SIDES[side] + 7 * crop


def dpdd(
    root: Path,
    split: str = "train",
    folders: dict[str, str] = AUTHORS,
    names: dict[str, str] | None = None,
    digits: int = 4,
    crops: int = 0,
    upright: tuple[int, ...] = (),
) -> Path:
    """One split of ``SHOTS``, as ``crops`` crops each or whole (0); the scenes in ``upright`` are portraits."""
    names = names or {"left": "_L", "right": "_R"}
    for side, folder in folders.items():
        for scene, (source, target) in enumerate(SHOTS):
            stem = f"1P0A{target if side == 'sharp' else source:0{digits}}{names.get(side, '')}"
            size = (16, 12) if scene in upright else (12, 16)
            for crop in range(max(1, crops)):
                name = f"{stem}-{crop}.png" if crops else f"{stem}.png"
                picture(root / folder.format(split) / name, value(scene, side, crop), 16, *size)
    return root


def same_names(root: Path, blurry: str, sharp: str, names: list[str], bits: int = 8) -> Path:
    """Partners with the same name: the n-th pair has the values ``5 n + 1`` and ``5 n + 2``."""
    for number, name in enumerate(names):
        picture(root / blurry / f"{name}.png", 5 * number + 1, bits)
        picture(root / sharp / f"{name}.png", 5 * number + 2, bits)
    return root
