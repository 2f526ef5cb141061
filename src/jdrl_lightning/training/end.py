"""What a training says at its end: figures, files, and the next commands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from jdrl_lightning.cli.checkpoints import in_run
from jdrl_lightning.metrics.report import figure

__all__ = ["best_and_last", "results"]

REFERENCES = {"aligned": "the truth", "deformed_gt": "the sharp image warped onto the output", "gt": "the sharp image"}


def best_and_last(monitor: str, best: float, epoch: int, last: float, epochs: int) -> str | None:
    """A line if best.ckpt, of ``epoch``, has another value of ``monitor`` than last.ckpt; both count from 1."""
    first, second = figure(monitor, best), figure(monitor, last)
    if epoch == epochs or math.isnan(last) or first == second:
        return None
    return f"best.ckpt and last.ckpt disagree: {monitor} is {first} in epoch {epoch}, {second} in epoch {epochs}"


def results(run_dir: Path, metrics: Mapping[str, float]) -> list[str]:
    """The lines: PSNR and its gain over the input by reference, the folder, and two commands as they can be typed."""
    lines = [
        f"against {words}: {figure('psnr', metrics[f'val/{name}/psnr'])} dB, "
        f"{figure('gain', round(metrics[f'val/{name}/gain'], 2) + 0.0, '+')} over the untouched input"
        for name, words in REFERENCES.items()
        if f"val/{name}/gain" in metrics
    ]
    folder = run_dir.relative_to(Path.cwd()) if run_dir.is_relative_to(Path.cwd()) else run_dir
    lines.append(f"results: {folder} (metrics.csv, summary.json, panels, checkpoints)")
    if any((run_dir / "checkpoints").glob("*.ckpt")):
        given = quote(f"ckpt_path={in_run(folder, 'best')}")
        lines.append(f"next: python -m jdrl_lightning.evaluate {given} split=val")
        lines.append(f"      python -m jdrl_lightning.predict {given} input=photo.jpg output=restored")
    return lines
