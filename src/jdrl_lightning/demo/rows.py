"""The rows of the demonstration: how each trains, and their results on the held-out photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jdrl_lightning.demo.comparison import compose_training
from jdrl_lightning.metrics.report import bootstrap_means, central_interval
from jdrl_lightning.types import Pair

__all__ = ["METHODS", "ROWS", "Row", "compose_row", "examples", "results"]

# The only differences between the trainings. The upper bound trains on the same pairs rendered without misalignment.
METHODS: dict[str, tuple[str, ...]] = {
    "charbonnier": ("objective=charbonnier",),
    "prealign": ("objective=charbonnier", "data.register=affine"),
    "jdrl": ("objective.warmup_epochs=1",),
    "aligned_ceiling": ("objective=charbonnier", "data.misalignment=none"),
}
ROWS = ("input", "shipped", *METHODS)  # the blurry images, and the weights that all trainings start from
EXAMPLES = 4
CROP_PX = 96
SHOWN_BLUR_PX = 2.0  # their mean radius: visible, yet restorable by trainings of minutes
LEVEL, DRAWS = 0.95, 2000  # of the bootstrap intervals
MEASURES = ("psnr", "ssim", "mae", "placement_px")


class Row(NamedTuple):
    """Results of a training: one value per test image of each measure, and the seconds of training."""

    images: dict[str, NDArray[np.float64]]
    seconds: float


def compose_row(method: str, run_dir: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The plain config of one training."""
    return compose_training(run_dir, ["experiment=demo", *METHODS[method], *overrides])


def results(rows: dict[str, Row]) -> dict[str, Any]:
    """The table, the ratios, and bootstrap intervals over the test images (the same draw for every row, so paired)."""
    psnr = {name: row.images["psnr"] for name, row in rows.items()}
    means = {name: values.mean() for name, values in psnr.items()}
    resampled = {name: bootstrap_means(values, DRAWS) for name, values in psnr.items()}
    ratios: dict[str, Callable[[dict[str, Any]], Any]] = {
        "gain_psnr": lambda m: (m["jdrl"] - m["input"]) / (m["aligned_ceiling"] - m["input"]),
        "over_prealign_db": lambda m: m["jdrl"] - m["prealign"],
        "over_shipped_db": lambda m: m["jdrl"] - m["shipped"],
        "recovered_psnr": lambda m: (m["jdrl"] - m["charbonnier"]) / (m["aligned_ceiling"] - m["charbonnier"]),
    }

    def interval(values: NDArray[np.float64]) -> list[float]:
        return [round(end, 4) for end in central_interval(values, LEVEL)]

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
            "level": LEVEL,
            "psnr": {name: interval(values) for name, values in resampled.items()},
            **{name: interval(ratio(resampled)) for name, ratio in ratios.items()},
        },
    }


def examples(pairs: Sequence[Pair], restored: dict[str, list[Tensor]]) -> list[dict[str, NDArray[np.uint8]]]:
    """For up to ``EXAMPLES`` images, spread over the set, the crop whose mean blur is nearest to ``SHOWN_BLUR_PX``."""
    shown = []
    for index in np.linspace(0, len(pairs) - 1, min(EXAMPLES, len(pairs))).round().astype(int):
        pair = pairs[index]
        blur = torch.nn.functional.avg_pool2d(pair.extras["coc"], CROP_PX, stride=8)[0, 0]
        nearest = int((blur - SHOWN_BLUR_PX).abs().argmin())
        top, left = (int(v) * 8 for v in np.unravel_index(nearest, blur.shape))
        pictures = {"blurry": pair.blurry[0], "sharp as given": pair.sharp[0]}
        pictures |= {name: images[index] for name, images in restored.items()}
        pictures["truth"] = pair.extras["aligned"][0]
        shown.append(
            {title: _pixels(image[:, top : top + CROP_PX, left : left + CROP_PX]) for title, image in pictures.items()}
        )
    return shown


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    return (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
