"""Page and figure of benchmarks/misalignment.py: PSNR lost by each way of training, and displacement of its outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.atomic import atomic_write
from misalignment_table import JDRL, PRESETS, SHARED, Results, markdown, read_lines

__all__ = ["draw", "plot"]

TICKS = (-5, -3, -2, -1, -0.75, -0.5, -0.25, 0, 0.25)  # dB


def draw(table: Path, picture: Path, backbone: str) -> None:
    """Write the Markdown file next to the CSV file ``table`` of a network, and the ``picture``."""
    if not table.is_file():
        raise UserError(f"{table}: no such file; omit --draw to train what it needs")
    results = Results(read_lines(table))
    picture.parent.mkdir(parents=True, exist_ok=True)
    plot(results).savefig(picture, dpi=110)
    shown = os.path.relpath(picture, table.parent).replace(os.sep, "/")
    with atomic_write(table.with_suffix(".md"), "w") as file:
        file.write(markdown(results, table.stem, shown, backbone))


@style.context("jdrl_lightning.figures")
def plot(results: Results) -> Figure:
    """PSNR relative to the upper bound for each size of misalignment, and the placement error of every case."""
    presets = [p for p in PRESETS[1:] if any(case.preset == p for case in results.cases)]
    displaced = [case for case in results.cases if case.px]
    picture = Figure(figsize=(3.6 * len(presets) + 6.4, 5.4), layout="constrained")
    axes = picture.subplots(1, len(presets) + 1, width_ratios=[1.0] * len(presets) + [1.8], squeeze=False)[0]
    for preset, axis in zip(presets, axes, strict=False):
        axis.sharey(axes[0])
        cases = [case for case in results.cases if case.preset in ("none", preset)]
        for row in results.rows:  # as differences: not every case has the same seeds, and seeds differ by more
            less = {case.px: results.interval(row, case, "psnr", less="aligned_ceiling") for case in cases}
            known = {px: found[0] for px, found in less.items() if found}
            axis.plot(list(known), list(known.values()), **_style(row))
        axis.set(title=preset, xlabel="mean displacement, px")
        axis.set_yscale("symlog", linthresh=1)  # pixel-wise training loses ten times the differences between the others
        axis.set_yticks(TICKS, map(str, TICKS))
    axes[0].set_ylabel("PSNR minus that of aligned_ceiling, dB")
    axis = axes[-1]
    width = 0.8 / len(results.rows)
    for number, row in enumerate(results.rows):
        values = [results.mean(row, case, "placement_px") or 0.0 for case in displaced]
        places = np.arange(len(displaced)) + width * (number - (len(results.rows) - 1) / 2)
        axis.bar(places, values, width, color=_style(row)["color"])
    axis.set(title="how far the restored image moved", ylabel="placement error, px", xticks=range(len(displaced)))
    axis.set_xticklabels([str(case).replace("_", "\n") + " px" for case in displaced])
    for axis in axes:
        axis.grid(axis="y")
    lines = [Line2D([], [], label=row, **_style(row)) for row in results.rows]
    picture.legend(handles=lines, loc="outside lower center", ncols=6)
    return picture


def _style(row: str) -> dict[str, Any]:
    """JDRL in warm colours and thick, the others in cold ones; references that need no training on the pairs dashed."""
    colours = {
        "input": "#7f7f7f", "charbonnier": "#1f3b73", "prealign": "#2f7ebc", "shift_search": "#8c6bb1",
        "mimicked": "#5bbfa5", "gcm": "#a8a800", "fdl": "#9ebcda", "cobi": "#c994c7",
        "jdrl_robust": "#f16913", "jdrl": "#d7301f", "jdrl_official": "#fdae6b", "jdrl_map": "#a63603",
        "warp_only": "#31a354", "oracle": "#bdbdbd", "aligned_ceiling": "#000000",
    }  # fmt: skip
    ours = row in JDRL
    return {
        "color": colours[row],
        "linewidth": 2.2 if ours else 1.4,
        "linestyle": "--" if row in (*SHARED, "oracle") else "-",
        "marker": "o" if ours else "s",
        "markersize": 4,
    }
