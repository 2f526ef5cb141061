"""Folders as an evaluation leaves them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROTOCOL = {"crop": "none", "warp": "bicubic", "ssim": "uniform", "round": False, "flow": {"name": "tvl1"}}
INPUT = np.random.default_rng(0).normal(25, 3, 40)


def run_folder(folder: Path, psnr: NDArray[np.float64], title: str = "", **facts: Any) -> Path:
    """An evaluation of forty images with the given PSNR, LPIPS left out, all else equal."""
    folder.mkdir(parents=True)
    rows = [
        {
            "method": method,
            "name": f"{i:02d}",
            "gt/psnr": value,
            "gt/lpips": "",
            "placement/rms": 0.1,
            "placement/dx": -1,
        }
        for i in range(len(psnr))
        for method, value in (("input", INPUT[i]), ("restored", psnr[i]))
    ]
    with (folder / "per_image.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {"title": title, "digest": "d", "protocol": PROTOCOL, "data": "test split of data=sdd"} | facts
    (folder / "summary.json").write_text(json.dumps(content))
    return folder
