"""A sweep's jobs ranked, and drawn over two numeric settings: as a heat map, or as points if they fill no grid."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.save_results import claim, write_text
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.metrics.report import LARGEST_FIRST, markdown_table
from jdrl_lightning.metrics.report import figure as written

__all__ = ["WRITTEN", "heat_map", "noise", "points", "rank"]

WRITTEN = ("ranking.md", "heat_map.png")
UNITS = {"psnr": "dB", "gain": "dB", "rms": "px", "p95": "px", "dx": "px", "dy": "px"}
REPEATED_DB = 0.1  # by which differences between trainings change with the seed: docs/results/demonstration.md


def rank(folder: Any, output: Path, overwrite: bool) -> str:
    """Write ranking.md and, for two numeric settings, heat_map.png of ``folder/sweep.csv``; returns the Markdown.

    Jobs are ranked by the first metric of the table, the sweep's ``monitor``, the best first. Both files say which
    differences mean nothing.

    Raises:
        UserError: the folder holds no sweep, or none of its jobs succeeded.
    """
    table = Path(str(folder)) / "sweep.csv"
    if not table.is_file():
        raise UserError(f"{table}: no such file; give sweep=<folder of a sweep>, multirun/<name>/<time>")
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), list(reader.fieldnames or ())
    if "status" not in columns or columns[-1] != "folder" or len(columns) < columns.index("seconds") + 3:
        raise UserError(f"{table}: not the table of a sweep; give another folder")
    settings, metric = columns[1 : columns.index("status")], columns[columns.index("seconds") + 1]
    done = [row for row in rows if row["status"] == "done" and row[metric]]
    if not done:
        raise UserError(f"{table}: none of its {len(rows)} jobs is done and has {metric}; see the errors in that table")
    claim(output, overwrite, WRITTEN)
    largest = metric.rpartition("/")[2] in LARGEST_FIRST
    done.sort(key=lambda row: float(row[metric]), reverse=largest)
    ranked = [{"job": row["job"], **{key: row[key] for key in settings}, metric: float(row[metric])} for row in done]
    first = "largest" if largest else "smallest"
    text = [f"# {metric} of the jobs in {table.parent.name}, the {first} first", "", markdown_table(ranked)]
    text += [f"- job {row['job']} is left out: {row['error'] or row['status']}" for row in rows if row not in done]
    note, best = noise(done, settings, metric)
    text += [f"- {note}{f'; {best}' if best else ''}."]
    swept = [key for key in settings if _numeric(done, key) and len({row[key] for row in done}) > 1]
    axes = [key for key in swept if key != "seed"]
    if len(axes) == 2:
        grid = _fills_a_grid(done, axes[0], axes[1])
        with atomic_write(output / WRITTEN[1]) as file:
            figure = (heat_map if grid else points)(done, axes[0], axes[1], metric)
            figure.suptitle(note, fontsize="small")
            figure.savefig(file, format="png", dpi=150, bbox_inches="tight")
        shown = f"means over the jobs with equal {axes[0]} and {axes[1]}" if grid else "a point for each job"
        text += [f"- {WRITTEN[1]}: {shown}."]
    write_text(output / WRITTEN[0], "\n".join([*text, ""]))
    return "\n".join(text)


def noise(rows: Sequence[Mapping[str, str]], settings: Sequence[str], metric: str) -> tuple[str, str]:
    """Which differences mean nothing, and the best settings over their seeds, in words; "" if none has several.

    Args:
        rows: jobs, the best first.
        settings: names of the settings that differ.
        metric: by which the jobs are ranked.
    """
    unit = UNITS.get(metric.rpartition("/")[2])
    others = [key for key in settings if key != "seed"]
    groups: dict[tuple[str, ...], list[float]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in others), []).append(float(row[metric]))
    repeated = {values: found for values, found in groups.items() if len(found) > 1}
    if not repeated or "seed" not in settings:
        known = f"differences below some {REPEATED_DB} dB mean nothing" if unit == "dB" else "no measure of chance"
        return f"one seed: {known} (seed=0,1,2 measures it)", ""

    def shown(value: float) -> str:
        return f"{written(metric, value)} {unit}" if unit else written(metric, value)

    apart = max(max(found) - min(found) for found in repeated.values())
    falls = float(rows[0][metric]) > float(rows[-1][metric])  # the best is the largest
    chosen, found = (max if falls else min)(repeated.items(), key=lambda item: float(np.mean(item[1])))
    named = ", ".join(f"{key}={value}" for key, value in zip(others, chosen, strict=True)) or "all jobs"
    best = f"best mean over seeds: {named}, {shown(float(np.mean(found)))} ({len(found)} seeds"
    best += f" from {shown(min(found))} to {shown(max(found))})"
    return f"jobs that differ only in their seed are up to {shown(apart)} apart", best


@style.context("jdrl_lightning.figures")
def heat_map(rows: Sequence[Mapping[str, str]], down: str, across: str, metric: str) -> Figure:
    """``metric``'s mean for each pair of values, ``down`` from top to bottom; pairs without a job stay blank."""
    values = {key: sorted({float(row[key]) for row in rows}) for key in (down, across)}
    means = np.full((len(values[down]), len(values[across])), np.nan)
    for place in np.ndindex(means.shape):
        pair = (values[down][place[0]], values[across][place[1]])
        found = [float(row[metric]) for row in rows if (float(row[down]), float(row[across])) == pair]
        means[place] = np.mean(found) if found else np.nan
    figure = Figure(figsize=(1.3 * means.shape[1] + 2, 0.9 * means.shape[0] + 1.2), layout="constrained")
    axis = figure.add_subplot()
    image = axis.imshow(means, cmap="cividis", aspect="auto")
    axis.spines[:].set_visible(False)
    middle = (np.nanmin(means) + np.nanmax(means)) / 2
    for (row, column), mean in np.ndenumerate(means):
        if np.isfinite(mean):
            colour = "k" if mean > middle else "w"
            axis.text(column, row, written(metric, mean), ha="center", va="center", color=colour)
    axis.set_xticks(range(means.shape[1]), [f"{value:g}" for value in values[across]])
    axis.set_yticks(range(means.shape[0]), [f"{value:g}" for value in values[down]])
    axis.set_xlabel(across)
    axis.set_ylabel(down)
    _add_scale(figure, image, metric)
    return figure


@style.context("jdrl_lightning.figures")
def points(rows: Sequence[Mapping[str, str]], down: str, across: str, metric: str) -> Figure:
    """A point for each job, coloured by ``metric``: for values sampled rather than taken from a grid."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axis = figure.add_subplot()
    x, y, value = ([float(row[key]) for row in rows] for key in (across, down, metric))
    image = axis.scatter(x, y, c=value, cmap="cividis", edgecolors="k", linewidths=0.5)
    axis.set_xlabel(across)
    axis.set_ylabel(down)
    _add_scale(figure, image, metric)
    return figure


def _add_scale(figure: Figure, image: ScalarMappable, metric: str) -> None:
    """A colour bar that names ``metric`` and its unit, if it has one."""
    unit = UNITS.get(metric.rpartition("/")[2])
    bar = figure.colorbar(image, label=f"{metric}, {unit}" if unit else metric)
    bar.outline.set_visible(False)


def _fills_a_grid(rows: Sequence[Mapping[str, str]], down: str, across: str) -> bool:
    """Whether at least half of the pairs of values have a job."""
    pairs = {(float(row[down]), float(row[across])) for row in rows}
    return 2 * len(pairs) >= len({one for one, _ in pairs}) * len({other for _, other in pairs})


def _numeric(rows: Sequence[Mapping[str, str]], key: str) -> bool:
    try:
        return all(np.isfinite(float(row[key])) for row in rows)
    except ValueError:
        return False
