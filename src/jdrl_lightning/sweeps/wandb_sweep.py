"""A W&B sweep's definition: what ``wandb sweep`` registers, and the command that ``wandb agent`` runs for each job."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jdrl_lightning.sweeps.search_space import Choice, Interval, Space

__all__ = ["definition"]


def definition(
    space: Space, arguments: Sequence[str], *, name: str, project: str, monitor: str, mode: str, method: str, runs: int
) -> dict[str, Any]:
    """The content of a sweep file (W&B's sweep configuration) with which each agent's job is a run of the command.

    Args:
        space: what the server chooses for each job.
        arguments: of the command, the same for each job.
        name: of the sweep.
        project: W&B's.
        monitor: name of the metric that decides.
        mode: whether the largest (``max``) or the smallest (``min``) value is best.
        method: ``bayes``, ``random`` or ``grid``.
        runs: number of jobs.
    """
    return {
        "name": name,
        "project": project,
        "program": "jdrl_lightning.train",
        "method": method,
        "metric": {"name": monitor, "goal": f"{mode}imize"},
        "run_cap": runs,
        "parameters": {key: _parameter(among) for key, among in space.items()},
        # W&B writes the last as key=value for each parameter, as Hydra reads it.
        "command": ["${env}", "${interpreter}", "-m", "${program}", *arguments, "${args_no_hyphens}"],
    }


def _parameter(among: Choice | Interval) -> dict[str, Any]:
    if isinstance(among, Choice):
        return {"values": [_number(value) for value in among.values]}
    if among.step is not None:
        count = round((among.high - among.low) / among.step)
        return {"values": [_rounded(among.low + number * among.step) for number in range(count + 1)]}
    ends = {"min": among.low, "max": among.high}
    if among.log:
        return (
            {"distribution": "q_log_uniform_values", "q": 1, **ends}
            if among.whole
            else {"distribution": "log_uniform_values", **ends}
        )
    return {"distribution": "int_uniform" if among.whole else "uniform", **ends}


def _number(text: str) -> str | int | float:
    """The number that ``text`` writes, so that W&B's charts have an axis for it; else ``text``, which Hydra reads."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text and math.isfinite(value):
            return value
    return text


def _rounded(value: int | float) -> int | float:
    return value if isinstance(value, int) else float(f"{value:.12g}")
