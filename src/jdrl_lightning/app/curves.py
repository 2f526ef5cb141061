"""One metric of several runs over the steps, with marks where the objective's stage changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib import style
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from jdrl_lightning.app.run_list import curves, stages
from jdrl_lightning.demo.inline_svg import inline_svg

__all__ = ["MOST", "chart"]

WIDTH_PX, HEIGHT_PX = 760, 300
FEW = 40  # points with a dot each
INK, SOFT, GRID = "#000000", "#808080", "#d3d3d3"
MOST = 6  # runs, a colour each
THEME = {INK: "var(--body-text-color)", SOFT: "var(--body-text-color)", GRID: "var(--border-color-primary)"}
THEME |= {  # lighter on a dark page, darker on a light one
    to_hex(f"C{number}"): f"color-mix(in srgb, {to_hex(f'C{number}')} 75%, var(--body-text-color))"
    for number in range(MOST)
}
STYLE = (
    "jdrl_lightning.figures",
    {
        "axes.edgecolor": GRID, "axes.labelcolor": SOFT, "xtick.labelcolor": SOFT, "ytick.labelcolor": SOFT,
        "xtick.major.size": 0, "ytick.major.size": 0, "grid.color": GRID, "grid.alpha": 1, "font.size": 11,
        "text.parse_math": False,
    },
)  # fmt: skip


@style.context(STYLE)
def chart(folders: Mapping[str, Path], metric: str | None) -> str:
    """The element: a curve a run, by its name; a line of text if there is nothing to draw yet."""
    drawn = {name: curves(folder).get(metric or "", []) for name, folder in folders.items()}
    if not any(drawn.values()):
        return '<p class="line">Nothing measured yet.</p>'
    figure = Figure(figsize=(WIDTH_PX / 72, HEIGHT_PX / 72), layout="constrained")
    axis = figure.add_subplot()
    for number, (name, curve) in enumerate(drawn.items()):
        if not curve:
            continue
        colour = to_hex(f"C{number}")
        steps, values = zip(*curve, strict=True)
        axis.plot(
            steps, values, color=colour, label=name, linewidth=2, marker="o" if len(curve) < 40 else "", markersize=4
        )
        for step, stage in stages(folders[name]):
            axis.axvline(step, color=colour, linewidth=1, linestyle="--", zorder=1)
            axis.text(step, 1, f" stage {stage}", color=colour, transform=axis.get_xaxis_transform(), va="top", size=9)
    axis.set(xlabel="training step", ylabel=metric)
    axis.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=2, labelcolor="linecolor")
    ends = "; ".join(f"{name} ends at {curve[-1][1]:.4g}" for name, curve in drawn.items() if curve)
    drawing = inline_svg(figure, "curves", f"{metric} over the steps. {ends}.", THEME)
    return f'<div class="chart">{drawing}</div>'
