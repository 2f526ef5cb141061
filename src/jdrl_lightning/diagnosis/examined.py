"""What ``start`` has to know of a data set: its size, what decides for its pairs, what a training of it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from jdrl_lightning import build
from jdrl_lightning.cli.config import plain
from jdrl_lightning.data.synthetic.photographs import from_folder
from jdrl_lightning.data.synthetic.render import MASTER
from jdrl_lightning.diagnosis import pairs, tables
from jdrl_lightning.diagnosis.memory import step_mib
from jdrl_lightning.diagnosis.proposal import Proposal
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.folder import image_files
from jdrl_lightning.io.image import header
from jdrl_lightning.metrics.misalignment import evenly_spaced

__all__ = ["examined", "needed_mib", "verdict"]

LOOKED_AT = 32


def examined(data: Mapping[str, Any], seed: int) -> tuple[int, int]:
    """The number of training pairs and the shortest side of their images, px; validation pairs are checked as well.

    Raises:
        UserError: pairs are missing, or cannot be read.
    """
    if data["name"] == "photos":
        root = Path(data["root"])
        files = image_files(root) or image_files(root / "train")
        from_folder(root, "val", 1)
        each = composed({"data": "photos"}, {})["data"]["frames_per_photo"]["train"]
        return each * len(from_folder(root, "train", 1)), min(min(header(file)[:2]) for file in files) // MASTER
    module = build.datamodule({"data": {**data, "crop": 1}, "seed": seed})
    module.pairs("val")
    train: Any = module.pairs("train")
    if hasattr(train, "places"):
        return len(train), min(min(header(place.blurry)[:2]) for place in train.places)
    return len(train), min(min(train[index].blurry.shape[-2:]) for index in evenly_spaced(len(train), LOOKED_AT))


def verdict(console: Any, data: Mapping[str, Any], smallest_px: int, count: int, device: str) -> str | None:
    """What decides for ``count`` of the pairs, see :func:`.pairs.verdict`; prints what doctor does.

    None: rendered pairs, whose misalignment is a setting.

    Raises:
        UserError: the pairs do not show the same scenes.
    """
    if data["name"] == "photos":
        return None
    likely = {"data": data["name"], "backbone": "compact", "objective": "jdrl_quick"}  # timed as well
    settings = composed(likely, {"data": {**data, "crop": min(96, smallest_px)}})
    found = tables.show_pairs(console, {**settings, "split": "train", "pairs": count, "device": device})
    decides = pairs.verdict(found)
    if decides == "unlike":
        raise UserError(pairs.recommendation(found))
    return decides


def needed_mib(given: Proposal) -> float:
    """Counted memory of a step of the proposed training."""
    return step_mib(composed(given.choices, given.values))


def composed(choices: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain config of a training with these options and settings; requires an initialized Hydra."""
    config = compose("train", [*(f"{group}={option}" for group, option in choices.items()), "run_dir=."])
    merged = OmegaConf.merge(config, dict(values))
    return plain(merged)  # type: ignore[arg-type]
