"""Histograms show every finite value and count the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdrl_lightning.evaluation.histograms import histograms


def test_histograms_hold_every_finite_figure() -> None:
    rows: list[dict[str, Any]] = [
        {
            "method": method,
            "name": str(i),
            "gt/psnr": 20.0 + i,
            "gt/lpips": None,
            "placement/rms": 0.1,
            "placement/dx": 0.0,
        }
        for i in range(9)
        for method in ("input", "restored")
    ]
    rows[1]["gt/psnr"] = float("inf")
    figure = histograms(rows)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["GT: PSNR", "Placement error, px: RMS"]
    heights = [[np.asarray(p.get_xy())[:, 1].max() for p in axis.patches] for axis in figure.axes]
    assert heights[1] == [9, 9]
    assert figure.axes[0].get_xlabel() == "1 not finite"
    for row in rows:
        row["gt/psnr"] = float("inf")
    assert histograms(rows).axes[0].get_xlabel() == "18 not finite"
