"""LFDOF: defocus rendered from light fields, several apertures for each all-in-focus image.

Source: Ruan et al., AIFNet: All-in-Focus Image Restoration Network Using a Light Field-Based Dataset, IEEE TCI 2021:
11,261 training and 725 test images of 1008×688 px, 8-bit PNG; no validation split.
"""

from __future__ import annotations

from pathlib import Path

from torch.utils.data import Dataset

from jdrl_lightning.data.pairing import PairPaths, pictures
from jdrl_lightning.data.published.common import check_count, home, published
from jdrl_lightning.data.splits import hash_split
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

__all__ = ["find", "lfdof"]

COUNTS = {"train": 11261, "test": 725}
TREE = "<root>/{train,test}/{input/<id>_ap*.png,ground_truth/<id>.png}, or train_data and test_data"


def lfdof(
    split: str,
    seed: int,
    crop: int | None,
    root: str | Path,
    val_fraction: float = 0.1,
    register: str = "none",
    store: str = "files",
) -> Dataset[Pair]:
    """Each aperture with its scene's sharp image. ``val`` is ``val_fraction`` of the training scenes."""
    return published("lfdof", lambda: find(Path(root), split, val_fraction), split, crop, root, register, store)


def find(root: Path, split: str, val_fraction: float = 0.1) -> list[PairPaths]:
    """The files of one split; all apertures of a scene are in the same split.

    Raises:
        UserError: the folder has another layout, a file has no partner, or ``val_fraction`` leaves a split empty.
    """
    part = "test" if split == "test" else "train"
    inside, kind = home(root, ("LFDOF",), [part, f"{part}_data"], f"LFDOF's {part} split", TREE)
    folder = inside / kind
    blurry, sharp = (pictures(folder / kind, f"expected {TREE}") for kind in ("input", "ground_truth"))
    check_count(len(blurry), COUNTS[part], "pairs", folder)
    places = by_scene(blurry, sharp)
    return places if split == "test" else hash_split(places, split, val_fraction, folder, _scene)


def by_scene(blurry: list[Path], sharp: list[Path]) -> list[PairPaths]:
    """Match ``<id>_ap*`` with ``<id>``: several blurry images share a partner.

    Raises:
        UserError: a file has no partner.
    """
    scenes = {path.stem: path for path in sharp}
    places = []
    for path in blurry:
        scene = path.stem.rpartition("_ap")[0]
        if scene not in scenes:
            raise UserError(f"{path}: no partner {scene or '<id>'}.png in {sharp[0].parent}; expected {TREE}")
        places.append(PairPaths(path.stem, path, scenes[scene]))
    unmatched = scenes.keys() - {_scene(place) for place in places}
    if unmatched:
        name = min(unmatched)
        raise UserError(f"{scenes[name]}: no partner {name}_ap*.png in {blurry[0].parent}; add it or remove the file")
    return places


def _scene(place: PairPaths) -> str:
    return place.name.rpartition("_ap")[0]
