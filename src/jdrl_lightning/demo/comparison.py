"""Trainings compared: composed and trained alike, measured on held-out images whose truth is known."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jdrl_lightning import build, metrics
from jdrl_lightning.data.augment import collate
from jdrl_lightning.types import Pair

__all__ = ["QUIET", "as_batches", "compose_training", "measure_images", "train_row"]

QUIET = (
    "callbacks.progress=null",
    "callbacks.panels=null",
    "+trainer.enable_model_summary=false",
    "+trainer.enable_progress_bar=false",
)
INTERIOR_PX = 16  # from the border: beyond the reach of most displaced content


def compose_training(run_dir: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The plain config of one training with the run folder ``run_dir``."""
    from hydra import compose, initialize_config_dir

    from jdrl_lightning.cli import config

    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=config.CONF, job_name="comparison"):
        return config.plain(compose("train", [*overrides, f"run_dir='{run_dir}'"]))


def train_row(config: dict[str, Any], run_dir: Path) -> tuple[Any, float, list[tuple[int, float]]]:
    """Train; returns the module with its last weights, the seconds, and the validation curve (step, PSNR in dB)."""
    from jdrl_lightning.training.fit import fit

    started = time.monotonic()
    fit(config, run_dir)
    seconds = time.monotonic() - started
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/aligned/psnr")]
    curve = [(int(row["step"]) + 1, float(row["val/aligned/psnr"])) for row in rows]
    return build.from_checkpoint(run_dir / "checkpoints" / "last.ckpt"), seconds, curve


@torch.no_grad()
def measure_images(module: Any | None, pairs: Sequence[Pair]) -> tuple[dict[str, NDArray[np.float64]], list[Tensor]]:
    """Measure the restored images of ``pairs`` (None: the blurry images themselves) against the truth.

    Returns:
        One value per image of each measure (``psnr``, ``psnr_interior`` away from the border, ``ssim``, ``mae``,
        ``placement_px``), and the images, ``(3, H, W)`` in [0, 1].
    """
    inner = (..., slice(INTERIOR_PX, -INTERIOR_PX), slice(INTERIOR_PX, -INTERIOR_PX))
    device = getattr(module, "device", None)  # the module's, whatever that of the pairs
    lines: list[dict[str, float]] = []
    images: list[Tensor] = []
    for pair in pairs:
        truth = pair.extras["aligned"]
        restored = pair.blurry if module is None else module(pair.blurry.to(device)).to(truth.device)
        restored = restored.clamp(0, 1)
        images.append(restored[0])
        measures = {name: getattr(metrics, name)(restored, truth) for name in ("psnr", "ssim", "mae")}
        measures["psnr_interior"] = metrics.psnr(restored[inner], truth[inner])
        measures["placement_px"] = metrics.placement_error(restored, truth).rms
        lines.append({name: float(value) for name, value in measures.items()})
    return {name: np.array([line[name] for line in lines]) for name in lines[0]}, images


def as_batches(pairs: Any) -> list[Pair]:
    """Every pair of a data set as a float batch of one."""
    return [collate([pairs[i]]).to_float() for i in range(len(pairs))]
