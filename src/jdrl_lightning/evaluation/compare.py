"""Earlier evaluations side by side, with intervals that say how much a difference is worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.latex import GROUPS, MEASURES, grouped_table, plain_table
from jdrl_lightning.evaluation.load_results import Run, as_given, check_alike, read_run
from jdrl_lightning.evaluation.save_results import claim, write_json, write_text
from jdrl_lightning.metrics.report import bootstrap_interval, figure, markdown_table, paired_interval

__all__ = ["WRITTEN", "compare", "compared"]

LEVEL, RESAMPLES = 0.95, 2000
WRITTEN = ("comparison.md", "comparison.tex", "comparison.json")


def compare(folders: Any, output: Path, overwrite: bool) -> str:
    """Write comparison.md, .tex and .json of the evaluations in ``folders`` under ``output``; returns the Markdown.

    Raises:
        UserError: fewer than two folders, one that holds no evaluation, or evaluations that cannot be compared.
    """
    if isinstance(folders, str) or len(folders) < 2:
        raise UserError("compare takes two or more output folders of earlier evaluations: compare=[runA,runB]")
    claim(output, overwrite, WRITTEN)
    runs = _told_apart([read_run(Path(str(folder))) for folder in folders])
    check_alike(runs)
    content = compared(runs)
    means = [{"method": one["name"], **{k: v["mean"] for k, v in one["means"].items()}} for one in content["runs"]]
    intervals = _words(content)
    notes = [
        f"{content['images']} images, {runs[0].facts.get('data', '')}; measured alike: {content['measured']}.",
        f"In brackets: {LEVEL:.0%} bootstrap intervals over the images, {RESAMPLES} resamplings. Differences are "
        f"paired by image, to {runs[0].name}: they can be clear though the intervals of two means overlap.",
        "input: the blurry images.",
    ]
    heading = "Comparison of " + ", ".join(run.name for run in runs)
    text = [f"# {heading}", "", markdown_table(means), markdown_table(intervals), *(f"- {note}" for note in notes), ""]
    write_text(output / WRITTEN[0], "\n".join(text))
    write_text(output / WRITTEN[1], "\n".join([grouped_table(means, [heading, *notes]), plain_table(intervals)]))
    write_json(output / WRITTEN[2], content)
    return "\n".join(text)


def compared(runs: Sequence[Run]) -> dict[str, Any]:
    """Means of the blurry input and of every run, and differences to the first run, with their intervals.

    Measures that an image has no figure of are None; so are intervals of figures that are not finite.
    """
    base = runs[0].columns["restored"]
    rows = [("input", None, runs[0].columns["input"]), *((r.name, str(r.folder), r.columns["restored"]) for r in runs)]
    measures = [f"{group}/{name}" for group in GROUPS for name in MEASURES]
    measures = [key for key in measures if any(key in columns for _, _, columns in rows)]
    return {
        "level": LEVEL,
        "resamples": RESAMPLES,
        "images": len(runs[0].images),
        "protocol": runs[0].facts["protocol"],
        "measured": ", ".join(f"{key}={as_given(value)}" for key, value in runs[0].facts["protocol"].items()),
        "runs": [
            {
                "name": name,
                "folder": folder,
                "means": {key: _mean(columns.get(key)) for key in measures},
                "differences": {key: _difference(columns.get(key), base.get(key)) for key in measures},
            }
            for name, folder, columns in rows
        ],
    }


def _mean(values: NDArray[np.float64] | None) -> dict[str, float | None]:
    if values is None or not np.isfinite(values).all():
        return {"mean": None, "low": None, "high": None}
    low, high = bootstrap_interval(values.tolist(), LEVEL, RESAMPLES)
    return {"mean": float(values.mean()), "low": low, "high": high}


def _difference(values: NDArray[np.float64] | None, base: NDArray[np.float64] | None) -> dict[str, float | None]:
    if values is None or base is None or not (np.isfinite(values).all() and np.isfinite(base).all()):
        return {"mean": None, "low": None, "high": None}
    low, high = paired_interval(values.tolist(), base.tolist(), LEVEL, RESAMPLES)
    return {"mean": float((values - base).mean()), "low": low, "high": high}


def _words(content: dict[str, Any]) -> list[dict[str, str]]:
    """A line for each measure; of each run its mean, and after the first its difference to that."""
    first = content["runs"][1]["name"]
    lines = []
    for key in content["runs"][0]["means"]:
        group, name = key.split("/")
        line = {"measure": f"{GROUPS[group]}: {MEASURES[name]}"}
        for run in content["runs"]:
            line[run["name"]] = _with_interval(key, run["means"][key])
            if run["folder"] is not None and run["name"] != first:
                line[f"{run['name']} − {first}"] = _with_interval(key, run["differences"][key], "+")
        lines.append(line)
    return lines


def _with_interval(key: str, value: dict[str, float | None], sign: str = "") -> str:
    mean, low, high = (figure(key, value[part], sign) for part in ("mean", "low", "high"))
    return mean if value["mean"] is None else f"{mean} [{low}, {high}]"


def _told_apart(runs: list[Run]) -> list[Run]:
    """Runs of one name, or of the input's, are called by their folders."""
    names = ["input", *(run.name for run in runs)]
    return [run._replace(name=str(run.folder)) if names.count(run.name) > 1 else run for run in runs]
