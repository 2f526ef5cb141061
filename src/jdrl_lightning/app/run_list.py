"""The runs below a folder, and what they have measured so far."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Curve", "curves", "figures", "headline", "runs", "stages"]

Curve = list[tuple[int, float]]  # (step, value)

HEADLINES = ("val/deformed_gt/psnr", "val/gt/psnr")  # the first that a run has is shown beside its name
NO_METRICS = ("epoch", "step", "stage")


def runs(root: Path) -> dict[str, Path]:
    """Every folder below ``root`` with a ``metrics.csv``, by its path from there, the newest first; links are skipped.

    Folders that cannot be read are left out.
    """
    found: dict[str, tuple[float, Path]] = {}
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if "metrics.csv" in files:
            folder = Path(place)
            found[folder.relative_to(root).as_posix()] = (folder / "metrics.csv").stat().st_mtime, folder
    return {name: found[name][1] for name in sorted(found, key=lambda name: found[name][0], reverse=True)}


def curves(run: Path) -> dict[str, Curve]:
    """Each metric of the table so far, at least one finite value; an incomplete last line is left out."""
    found: dict[str, Curve] = {}
    for row in _rows(run):
        step = _number(row.get("step"))
        for name, text in row.items():
            value = _number(text)
            if step is not None and value is not None and name not in NO_METRICS:
                found.setdefault(name, []).append((int(step), value))
    return found


def stages(run: Path) -> list[tuple[int, int]]:
    """(Step, number) of each stage of the objective but the first, where it first shows in the table."""
    found: list[tuple[int, int]] = []
    last: int | None = None
    for row in _rows(run):
        step, stage = _number(row.get("step")), _number(row.get("stage"))
        if step is None or stage is None:
            continue
        if last is not None and int(stage) != last:
            found.append((int(step), int(stage)))
        last = int(stage)
    return found


def figures(run: Path) -> dict[str, float]:
    """The final metrics of ``summary.json``, or of a run that still trains the last of each in its table."""
    try:
        final = json.loads((run / "summary.json").read_text("utf-8"))["metrics"]
        return {str(name): float(value) for name, value in final.items() if value is not None}
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return {name: curve[-1][1] for name, curve in curves(run).items()}


def headline(run: Path) -> str:
    """The metric that tells most, in a few words, or nothing."""
    found = figures(run)
    name = next((name for name in HEADLINES if name in found), None)
    return f"{name.removeprefix('val/')} {found[name]:.2f} dB" if name else ""


def _rows(run: Path) -> Sequence[dict[str, str]]:
    try:
        with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if None not in row and None not in row.values()]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
