"""Reads W&B's offline runs with W&B's own tool."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# All scalars logged by a training on pairs without ground truth.
SCALARS = {
    "train/loss", "train/loss/align", "train/loss/align_back", "train/loss/reblur", "train/kept", "train/flow_px",
    "train/flow_p95_px", "stage", "lr-Adam", "train/images_per_s", "train/peak_memory_mib", "val/placement/rms",
    "val/placement/p95", "val/placement/dx", "val/placement/dy", "val/blur/mean_px", "val/blur/p95_px",
    "val/change",
    *(f"val/{reference}/{metric}" for reference in ("gt", "deformed_gt") for metric in ("psnr", "gain", "ssim", "mae")),
}  # fmt: skip

WANDB = Path(sys.executable).with_name("wandb")


def runs(run_dir: Path) -> list[Path]:
    """The offline runs in a run folder, oldest first."""
    return sorted((run_dir / "wandb").glob("offline-run-*"))


def summary(offline_run: Path) -> dict[str, Any]:
    """State, config and last value of each metric."""
    return json.loads(_inspect(offline_run, "--summary"))


def records(offline_run: Path, kind: str) -> list[dict[str, Any]]:
    """All records of a kind (``history``, ``artifact``, ``run``), in order."""
    lines = [json.loads(line) for line in _inspect(offline_run).splitlines()]
    return [line[kind] for line in lines if line["type"] == kind]


def table(offline_run: Path, key: str) -> list[dict[str, Any]]:
    """The rows of a logged table, by column."""
    (file,) = (offline_run / "files" / "media" / "table").glob(f"{key}_*.table.json")
    content = json.loads(file.read_text())
    return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def _inspect(offline_run: Path, *options: str) -> str:
    command = [WANDB, "leet", "inspect", "--json", *options, str(offline_run)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
