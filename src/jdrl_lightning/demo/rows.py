"""The rows of the demonstration: train each alike, measure each on the held-out photographs' truth."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jdrl_lightning import build, metrics
from jdrl_lightning.data.augment import collate
from jdrl_lightning.metrics.report import bootstrap_means, central_interval
from jdrl_lightning.types import Pair

__all__ = ["METHODS", "Row", "as_batches", "compose_row", "examples", "measure_images", "results", "train_row"]

# Everything alike but this. The ceiling trains on pairs rendered without misalignment, all else of them equal.
METHODS: dict[str, tuple[str, ...]] = {
    "charbonnier": ("objective=charbonnier",),
    "prealign": ("objective=charbonnier", "data.register=affine"),
    "jdrl": (),
    "aligned_ceiling": ("objective=charbonnier", "data.misalignment=none"),
}
CROP_PX = 96  # of the crops that are shown
MEASURES = ("psnr", "ssim", "mae", "placement_px")


class Row(NamedTuple):
    """What a way of training came to: one value a test image of each measure, and the seconds of training."""

    images: dict[str, NDArray[np.float64]]
    seconds: float


def compose_row(method: str, run_dir: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The plain config of one training."""
    from hydra import compose, initialize_config_dir

    from jdrl_lightning import config

    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=config.CONF, job_name="demo"):
        mine = ["experiment=demo", *METHODS[method], *overrides, f"run_dir='{run_dir}'"]
        return config.plain(compose("train", mine))


def train_row(config: dict[str, Any], run_dir: Path) -> tuple[Any, float, list[tuple[int, float]]]:
    """Train; returns the module with its last weights, the seconds, and the validation curve (step, PSNR, dB)."""
    from jdrl_lightning.train import fit

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
        One value an image of each measure, and the images, ``(3, H, W)`` in [0, 1].
    """
    values: dict[str, list[float]] = {name: [] for name in MEASURES}
    images: list[Tensor] = []
    for pair in pairs:
        truth = pair.extras["aligned"]
        restored = (pair.blurry if module is None else module(pair.blurry)).clamp(0, 1)
        images.append(restored[0])
        for name in ("psnr", "ssim", "mae"):
            values[name].append(float(getattr(metrics, name)(restored, truth)))
        values["placement_px"].append(float(metrics.placement_error(restored, truth).rms))
    return {name: np.asarray(column) for name, column in values.items()}, images


def as_batches(pairs: Any, module: Any) -> list[Pair]:
    """Every pair of a data set as a float batch of one."""
    return [module.on_after_batch_transfer(collate([pairs[i]]), 0) for i in range(len(pairs))]


def results(rows: dict[str, Row], level: float = 0.95, draws: int = 2000) -> dict[str, Any]:
    """The table, the ratios, and bootstrap intervals over the test images (the same draw for every row, so paired)."""
    psnr = {name: row.images["psnr"] for name, row in rows.items()}
    means = {name: values.mean() for name, values in psnr.items()}
    resampled = {name: bootstrap_means(values, draws) for name, values in psnr.items()}
    ratios: dict[str, Callable[[dict[str, Any]], Any]] = {
        "gain_psnr": lambda m: (m["jdrl"] - m["input"]) / (m["aligned_ceiling"] - m["input"]),
        "over_prealign_db": lambda m: m["jdrl"] - m["prealign"],
        "recovered_psnr": lambda m: (m["jdrl"] - m["charbonnier"]) / (m["aligned_ceiling"] - m["charbonnier"]),
    }

    def interval(values: NDArray[np.float64]) -> list[float]:
        return [round(end, 4) for end in central_interval(values, level)]

    return {
        "rows": [
            {
                "method": name,
                **{m: round(float(row.images[m].mean()), 5) for m in MEASURES},
                "seconds": round(row.seconds, 1),
            }
            for name, row in rows.items()
        ],
        **{name: round(float(ratio(means)), 4) for name, ratio in ratios.items()},
        "intervals": {
            "over": "images",
            "count": len(psnr["input"]),
            "level": level,
            "psnr": {name: interval(values) for name, values in resampled.items()},
            **{name: interval(ratio(resampled)) for name, ratio in ratios.items()},
        },
    }


def examples(
    pairs: Sequence[Pair], restored: dict[str, list[Tensor]], count: int = 4
) -> list[dict[str, NDArray[np.uint8]]]:
    """For ``count`` images, spread over the set, the crop whose blur is strongest: a rule, not a choice."""
    shown = []
    for index in np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int):
        pair = pairs[index]
        blur = torch.nn.functional.avg_pool2d(pair.extras["coc"], CROP_PX, stride=8)[0, 0]
        top, left = (int(v) * 8 for v in np.unravel_index(int(blur.argmax()), blur.shape))
        pictures = {"blurry": pair.blurry[0], "sharp as given": pair.sharp[0]}
        pictures |= {name: images[index] for name, images in restored.items()}
        pictures["truth"] = pair.extras["aligned"][0]
        shown.append(
            {title: _pixels(image[:, top : top + CROP_PX, left : left + CROP_PX]) for title, image in pictures.items()}
        )
    return shown


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    return (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
