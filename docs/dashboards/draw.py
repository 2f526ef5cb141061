r"""Draw the figures of docs/dashboards.md from an offline W&B run: what W&B shows, without W&B.

python -m jdrl_lightning.train experiment=smoke trainer.max_epochs=6 logger=wandb logger.wandb.offline=true \
    trainer.log_every_n_steps=2
python docs/dashboards/draw.py outputs/smoke/<time>/wandb/offline-run-* docs/images
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib import style
from panels import SECTIONS, STEP

from jdrl_lightning.metrics.report import figure as figure_of

HISTOGRAM = "val/blur/histogram"
FIGURES = ("deformed_gt/psnr", "gt/psnr", "placement/rms")
STYLE = {"stage": "steps-post"}


def records(run: Path, kind: str) -> list[dict[str, Any]]:
    """The records of a kind (``history``, ``artifact``), read with W&B's own tool."""
    command = [Path(sys.executable).with_name("wandb"), "leet", "inspect", "--json", str(run)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line[kind] for line in map(json.loads, lines.splitlines()) if line["type"] == kind]


@style.context("jdrl_lightning.figures")
def draw_lines(history: list[dict[str, Any]], path: Path) -> None:
    """Every panel of the workspace that has data, and the last histogram."""
    panels = {title: lines for section in SECTIONS.values() for title, lines in section.items()}
    figure, axes = plt.subplots(4, 4, figsize=(14, 13), layout="constrained")
    for place in axes.flat:
        place.set_visible(False)
    *places, last = axes.flat[: len(panels) + 1]
    for place, (title, lines) in zip(places, panels.items(), strict=True):
        for name in [line for line in lines if any(line in row for row in history)]:
            points = [(row[STEP], row[name]) for row in history if name in row]
            place.plot(*zip(*points, strict=True), marker=".", label=name, drawstyle=STYLE.get(name, "default"))
        place.set(title=title, visible=True)
        place.grid()
        place.legend(loc="upper left", bbox_to_anchor=(0, -0.1), handlelength=1)  # below: no line is hidden
    row = [row for row in history if f"{HISTOGRAM}.bins" in row][-1]
    edges, counts = row[f"{HISTOGRAM}.bins"], row[f"{HISTOGRAM}.values"]
    last.stairs(counts, edges, fill=True)
    last.set(title="predicted radius in one image", xlabel="px", ylabel="pixels", visible=True)
    figure.supxlabel(STEP)
    figure.savefig(path, dpi=90)


@style.context("jdrl_lightning.figures")
def draw_worst(artifacts: list[dict[str, Any]], path: Path) -> None:
    """The table of the worst images."""
    table = [artifact for artifact in artifacts if artifact["type"] == "run_table"][-1]
    files = {entry["path"]: entry["local_path"] for entry in table["manifest"]["contents"]}
    content = json.loads(Path(files["worst.table.json"]).read_text())
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    figure, axes = plt.subplots(len(rows), 1, figsize=(10, 3.2 * len(rows)), layout="constrained", squeeze=False)
    for place, row in zip(axes.flat, rows, strict=True):
        picture = row.pop("blurry, restored, sharp")
        place.imshow(plt.imread(files[picture["path"]], format="png"))
        figures = "   ".join(
            f"{name} {figure_of(name, row[name])}" for name in ("deformed_gt/psnr", "gt/psnr", "placement/rms")
        )
        place.set_title(f"{row['name']}   {figures}", fontsize=10)
        place.axis("off")
    figure.savefig(path, dpi=75)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="an offline-run-… folder")
    parser.add_argument("output", type=Path, help="folder of the pictures")
    arguments = parser.parse_args()
    draw_lines([record["item"] for record in records(arguments.run, "history")], arguments.output / "dashboard.png")
    draw_worst(records(arguments.run, "artifact"), arguments.output / "dashboard_worst.png")


if __name__ == "__main__":
    main()
