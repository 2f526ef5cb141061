"""The distribution of each measure over the images: one small histogram each, input and restored overlaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jdrl_lightning.evaluation.latex import GROUPS, MEASURES

__all__ = ["histograms"]

STYLES: dict[str, dict[str, Any]] = {
    "input": {"facecolor": "#c4c4c4", "edgecolor": "none"},
    "restored": {"facecolor": "none", "edgecolor": "#0b6e99", "linewidth": 1.8},
}
MAX_BINS = 20


@style.context("jdrl_lightning.figures")
def histograms(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """One row of axes per reference, one column per measure; values that are not finite are only counted."""
    columns = [key for key in rows[0] if "/" in key and key.split("/")[1] in MEASURES and rows[0][key] is not None]
    groups = {group: [key for key in columns if key.split("/")[0] == group] for group in GROUPS}
    groups = {group: keys for group, keys in groups.items() if keys}
    wide = max(map(len, groups.values()))
    width, height = 3.0 * wide, 2.4 * len(groups)
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(len(groups), wide, squeeze=False)
    figure.subplots_adjust(0.5 / width, 0.8 / height, 1 - 0.15 / width, 1 - 0.3 / height, wspace=0.24, hspace=0.45)
    for line, (group, keys) in zip(axes, groups.items(), strict=True):
        for axis, key in zip(line, [*keys, *[None] * (wide - len(keys))], strict=True):
            if key is None:
                axis.set_axis_off()
            else:
                _draw(axis, rows, key)
                axis.set_title(f"{GROUPS[group]}: {MEASURES[key.split('/')[1]]}", fontsize=9)
    handles = [Patch(label=method, **look) for method, look in STYLES.items()]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles))
    return figure


def _draw(axis: Any, rows: Sequence[Mapping[str, Any]], key: str) -> None:
    values = {method: np.array([row[key] for row in rows if row["method"] == method]) for method in STYLES}
    finite = {method: column[np.isfinite(column)] for method, column in values.items()}
    together = np.concatenate(list(finite.values()))
    if len(together):
        bins = np.histogram_bin_edges(together, bins=min(MAX_BINS, 2 + len(together) // 4))
        for method, column in finite.items():
            axis.hist(column, bins=bins, histtype="stepfilled", **STYLES[method])
    left_out = sum(len(values[method]) - len(finite[method]) for method in values)
    axis.set_xlabel("" if not left_out else f"{left_out} not finite", fontsize=8)
    axis.set_ylabel("images", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.yaxis.get_major_locator().set_params(integer=True)
