"""The rows of the demonstration: how each trains, and their results on the held-out photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jdrl_lightning.demo.comparison import compose_training
from jdrl_lightning.metrics.report import bootstrap_means, central_interval

__all__ = ["METHODS", "ROWS", "Row", "compose_row", "results"]

# The only differences between the trainings. The upper bound trains on the same pairs rendered without misalignment.
METHODS: dict[str, tuple[str, ...]] = {
    "charbonnier": ("objective=charbonnier",),
    "prealign": ("objective=charbonnier", "data.register=affine"),
    "jdrl": ("objective.warmup_epochs=1",),
    "aligned_ceiling": ("objective=charbonnier", "data.misalignment=none"),
}
ROWS = ("input", "shipped", *METHODS)  # the blurry images, and the weights that all trainings start from
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
