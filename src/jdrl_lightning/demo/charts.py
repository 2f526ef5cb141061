"""The report's two charts: PSNR of each row with its interval, and validation PSNR during training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, TypeAlias

from matplotlib import style
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from jdrl_lightning.demo.formatting import level, number, psnr_interval
from jdrl_lightning.demo.inline_svg import inline_svg
from jdrl_lightning.demo.methods import METHODS, label, short

__all__ = ["Curves", "curve_chart", "curve_figure", "dot_chart", "dot_figure"]

Curves: TypeAlias = Mapping[str, Sequence[tuple[int, float]]]

WIDTH_PX, PITCH_PX, CURVES_PX = 360, 48, 280  # of a chart; of a dot's row; height of the curves
INK, SOFT, GRID, PANEL = "#000000", "#808080", "#d3d3d3", "#ffffff"
COLOURS = {method: to_hex(f"C{number}") for number, method in enumerate(METHODS)}
THEME = {INK: "var(--ink)", SOFT: "var(--soft)", GRID: "var(--grid)", PANEL: "var(--panel)"} | {
    colour: f"var(--{method})" for method, colour in COLOURS.items()
}
DASHES = {"aligned_ceiling": "--", "prealign": ":"}
STYLE: tuple[str | dict[str, Any], ...] = (
    "jdrl_lightning.figures",
    {
        "font.size": 12,
        "axes.labelsize": 11,
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
        "axes.edgecolor": GRID,
        "axes.labelcolor": SOFT,
        "xtick.labelcolor": SOFT,
        "ytick.labelcolor": SOFT,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "grid.color": GRID,
        "grid.alpha": 1,
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    },
)


def dot_chart(results: Mapping[str, Any]) -> str:
    """The page's element with :func:`dot_figure`."""
    heading, figure = "PSNR of each row", dot_figure(results)
    if figure is None:
        return _element(heading, "There is no finite PSNR to draw.")
    caption = (
        f"The dots are means over the test {results['intervals']['over']}, the bars their {level(results)}s, the "
        "dashed line the network as shipped. Overlapping bars do not mean that two rows are equal; see Intervals below."
    )
    values = [f"{label(row['method'])} {number(row['psnr'], 2)} dB" for row in _finite(results)]
    return _element(heading, caption, inline_svg(figure, "dots", f"{heading}. {'; '.join(values)}.", THEME))


@style.context(STYLE)
def dot_figure(results: Mapping[str, Any]) -> Figure | None:
    """A dot and its interval for each row, name and numbers above; None if no PSNR is finite."""
    shown = _finite(results)
    if not shown:
        return None
    intervals = {name: ends for name, ends in results["intervals"]["psnr"].items() if all(map(math.isfinite, ends))}
    figure = Figure(figsize=(WIDTH_PX / 72, (PITCH_PX * len(shown) + 46) / 72), layout="constrained")
    axis = figure.add_subplot()
    margins = axis.get_yaxis_transform()  # from the left edge to the right one, next to a row
    for place, row in enumerate(shown):
        name, psnr = row["method"], row["psnr"]
        colour, above = COLOURS.get(name, SOFT), place - 0.22
        if name == "shipped":
            axis.axvline(psnr, color=SOFT, linewidth=1, linestyle="--", zorder=1)
        if name in intervals:
            axis.plot(intervals[name], [place] * 2, color=colour, linewidth=2, marker="|", markersize=10)
        axis.plot([psnr], [place], color=colour, marker="o", markersize=10, markeredgecolor=PANEL, zorder=3)
        axis.text(0, above, label(name), transform=margins, color=colour, weight="bold")
        numbers = f"{number(psnr, 2)} [{psnr_interval(results, name)}]"
        axis.text(1, above, numbers, transform=margins, horizontalalignment="right")
    axis.set(ylim=(len(shown) - 0.6, -0.75), yticks=[], xlabel="PSNR against the truth, dB")
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x")
    return figure


def curve_chart(curves: Curves) -> str:
    """The page's element with :func:`curve_figure`."""
    heading, figure = "Validation PSNR during training", curve_figure(curves)
    if figure is None:
        return _element(heading, "No validation PSNR was recorded.")
    caption = "On the validation photographs, against the truth. The table has the weights of the last step."
    ends = [f"{label(name)} ends at {curve[-1][1]:.2f} dB" for name, curve in _drawable(curves).items()]
    return _element(heading, caption, inline_svg(figure, "curves", f"{heading}. {'; '.join(ends)}.", THEME))


@style.context(STYLE)
def curve_figure(curves: Curves) -> Figure | None:
    """Validation PSNR over the steps, the legend ordered by final value; None if no value is finite."""
    drawn = _drawable(curves)
    if not drawn:
        return None
    figure = Figure(figsize=(WIDTH_PX / 72, CURVES_PX / 72), layout="constrained")
    axis = figure.add_subplot()
    for name in sorted(drawn, key=lambda name: drawn[name][-1][1], reverse=True):
        steps, values = zip(*drawn[name], strict=True)
        axis.plot(
            steps,
            values,
            label=short(name),
            color=COLOURS.get(name, SOFT),
            linestyle=DASHES.get(name, "-"),
            linewidth=3 if name == "jdrl" else 2,
            marker="o",
            markersize=5,
        )
    axis.set(xlabel="training step", ylabel="PSNR, dB")
    axis.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=2, labelcolor="linecolor", handlelength=3)
    return figure


def _finite(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in results["rows"] if math.isfinite(row["psnr"])]


def _drawable(curves: Curves) -> dict[str, list[tuple[int, float]]]:
    finite = {name: [(step, value) for step, value in curve if math.isfinite(value)] for name, curve in curves.items()}
    return {name: curve for name, curve in finite.items() if curve}


def _element(heading: str, caption: str, drawing: str = "") -> str:
    return f'<figure class="chart"><h3>{heading}</h3>{drawing}<figcaption>{escape(caption)}</figcaption></figure>'
