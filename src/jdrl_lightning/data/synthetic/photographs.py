"""Sources of photographs: those shipped with scikit-image, the user's folder, or dead-leaves textures."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, image_files, read_image
from jdrl_lightning.types import to_float

__all__ = ["Photograph", "all_in_folder", "dead_leaves", "from_folder", "from_scikit_image"]

# In scikit-image's wheel, public domain or CC0 by its notes; docs/photographs.md credits each. Scenes are for testing,
# where results are looked at; textures and single subjects are for training.
SHIPPED = {
    "train": ("astronaut", "brick", "cell", "gravel", "hubble_deep_field", "retina"),
    "val": ("grass", "rocket"),
    "test": ("camera", "chelsea", "coffee"),
}
LARGEST_PX = 1600  # longer photographs are downscaled: at full resolution a camera image's crop has little structure
LEAVES = {"train": 16, "val": 4, "test": 6}
LEAF_PX = 6.0  # smallest radius
DEPTH = 5.0  # mean number of leaves over a point: less than 1 % of the ground stays visible


@dataclass(frozen=True)
class Photograph:
    """A name, a seed for its random choices, and a loader of its pixels: ``(3, H, W)`` sRGB in [0, 1]."""

    name: str
    key: int
    load: Callable[[], Tensor]


def from_scikit_image(split: str) -> list[Photograph]:
    """The shipped photographs of a split; splits are disjoint."""

    def loader(name: str) -> Callable[[], Tensor]:
        def load() -> Tensor:
            import skimage.data

            pixels = np.asarray(getattr(skimage.data, name)())
            grey = pixels.ndim == 2
            image = torch.from_numpy(pixels[None].repeat(3, 0) if grey else pixels.transpose(2, 0, 1)[:3].copy())
            return _downscale(to_float(image))

        return load

    return [Photograph(name, _key(name), loader(name)) for name in SHIPPED[split]]


def from_folder(root: str | Path, split: str, smallest_px: int) -> list[Photograph]:
    """The user's own sharp photographs.

    From ``root``'s folders ``train``, ``val`` and ``test`` if it has the first two (``test`` may be missing until it is
    asked for); otherwise all in it, shared out by the hash of their names: about 80, 10, 10 %, at least one each.

    Raises:
        UserError: no such folder, too few photographs, or one smaller than ``smallest_px`` a side.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; set data.root=<folder of sharp photographs>")
    if (folder / "train").is_dir() and (folder / "val").is_dir():
        if not (folder / split).is_dir():
            raise UserError(f"{folder / split}: no such folder next to train and val")
        shown = all_in_folder(folder / split, smallest_px)
        if not shown:
            raise UserError(f"{folder / split}: holds no photograph")
        return shown
    shown = all_in_folder(folder, smallest_px)
    if len(shown) < 3:
        raise UserError(f"{folder}: {len(shown)} photographs, but at least three are needed, one for each split")
    shown.sort(key=lambda photograph: photograph.key)
    each = max(1, round(0.1 * len(shown)))
    return {"test": shown[:each], "val": shown[each : 2 * each], "train": shown[2 * each :]}[split]


def all_in_folder(folder: str | Path, smallest_px: int = 1) -> list[Photograph]:
    """Every photograph below a folder, by path.

    Raises:
        UserError: one is smaller than ``smallest_px`` a side.
    """
    files = sorted(image_files(Path(folder)))
    for file in files:
        head = header(file)
        if min(head.height, head.width) < smallest_px:
            size, remedy = f"{head.width}x{head.height}", "remove it or lower data.crop"
            raise UserError(f"{file}: {size} pixels, but data.crop needs {smallest_px} per side; {remedy}")
    return [Photograph(f.stem, _key(f.name), lambda f=f: _downscale(to_float(read_image(f)))) for f in files]  # type: ignore[misc]


def dead_leaves(split: str, seed: int, size: int = 640) -> list[Photograph]:
    """Dead-leaves textures: opaque shaded discs with radii of density r⁻³ (Lee, Mumford and Huang 2001)."""
    first = {"train": 0, "val": 10_000, "test": 20_000}[split]
    keys = range(first, first + LEAVES[split])
    return [Photograph(f"leaves_{key}", key, lambda key=key: _leaves((seed, key), size)) for key in keys]  # type: ignore[misc]


def _leaves(key: tuple[int, int], size: int) -> Tensor:
    rng = np.random.default_rng(key)
    palette = rng.uniform(0.1, 0.9, size=(12, 3)) * 0.7 + rng.uniform(0.05, 0.25)
    image = np.full((size, size, 3), palette[0], np.float32)
    largest, depth = size / 4, 0.0
    while depth < DEPTH:  # later leaves cover earlier ones
        radius = leaf_radius(rng.uniform(), LEAF_PX, largest)
        depth += math.pi * radius**2 / (size + 2 * radius) ** 2
        cx, cy = rng.uniform(-radius, size + radius, size=2)
        x0, x1 = max(0, int(cx - radius - 1)), min(size, int(cx + radius + 2))
        y0, y1 = max(0, int(cy - radius - 1)), min(size, int(cy + radius + 2))
        if x0 >= x1 or y0 >= y1:
            continue
        x, y = np.arange(x0, x1)[None] - cx, np.arange(y0, y1)[:, None] - cy
        cover = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)[..., None]
        shade = 1 + (rng.uniform(-0.25, 0.25) * x + rng.uniform(-0.2, 0.2) * y)[..., None] / radius
        colour = np.clip(palette[rng.integers(len(palette))] * shade, 0, 1)
        image[y0:y1, x0:x1] = cover * colour + (1 - cover) * image[y0:y1, x0:x1]
    grain = rng.standard_normal((size, size, 1)).astype(np.float32) * 0.02
    return torch.from_numpy(np.clip(image + grain, 0, 1)).permute(2, 0, 1).float().contiguous()


def leaf_radius(quantile: float, smallest: float, largest: float) -> float:
    """The ``quantile`` of a distribution of radii with density r⁻³ from ``smallest`` to ``largest``."""
    return 1 / math.sqrt(quantile / largest**2 + (1 - quantile) / smallest**2)


def _downscale(image: Tensor) -> Tensor:
    longest = max(image.shape[-2:])
    if longest <= LARGEST_PX:
        return image
    sides = [round(side * LARGEST_PX / longest) for side in image.shape[-2:]]
    return F.interpolate(image[None], sides, mode="bilinear", antialias=True)[0].clamp(0, 1)


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
