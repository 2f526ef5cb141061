"""The two charts, as SVG: PSNR of each row with its interval, and validation PSNR during training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, TypeAlias

from jdrl_lightning.demo.axes import scale, spread, tick_label, ticks
from jdrl_lightning.demo.methods import css_class, label, short
from jdrl_lightning.demo.words import level, number, psnr_interval

__all__ = ["Curves", "curve_chart", "dot_chart"]

Curves: TypeAlias = Mapping[str, Sequence[tuple[int, float]]]

WIDTH_PX = 480  # in the chart's own units; at that width on a page its letters have their nominal size
PITCH_PX, EDGE_PX = 52, 12  # of the dots' rows; around them


def dot_chart(results: Mapping[str, Any]) -> str:
    """A dot and its interval for each row, name and numbers above; the axis need not begin at zero."""
    shown = [row for row in results["rows"] if math.isfinite(row["psnr"])]
    intervals = {name: ends for name, ends in results["intervals"]["psnr"].items() if all(map(math.isfinite, ends))}
    values = [row["psnr"] for row in shown] + [end for row in shown for end in intervals.get(row["method"], ())]
    if not values:
        return _figure("PSNR of each row", "There is no finite figure to draw.")
    left, right, bottom = EDGE_PX, WIDTH_PX - EDGE_PX, EDGE_PX + PITCH_PX * len(shown)
    levels = ticks(min(values), max(values))
    x = scale(levels[0], levels[-1], left, right)
    marks = [
        f'<line class="gridline" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="8" y2="{bottom}"/>' + _below(t, levels, x, bottom)
        for t in levels
    ]
    marks += [
        f'<line class="base" x1="{x(row["psnr"]):.1f}" x2="{x(row["psnr"]):.1f}" y1="8" y2="{bottom}"/>'
        for row in shown
        if row["method"] == "input"
    ]
    for i, row in enumerate(shown):
        name, y = row["method"], EDGE_PX + PITCH_PX * i + 34
        whisker = ""
        if name in intervals:
            low, high = (x(end) for end in intervals[name])
            whisker = f'<path class="whisker" d="M{low:.1f} {y - 5}v10m0 -5H{high:.1f}m0 -5v10"/>'
        words = f"{number(row['psnr'], 2)} [{psnr_interval(results, name)}]"
        marks.append(
            f'<g class="{css_class(name)}"><title>{escape(label(name))}: {words} dB</title>'
            f'<text class="name" x="{left}" y="{y - 15}">{escape(label(name))}</text>'
            f'<text class="words" x="{right}" y="{y - 15}" text-anchor="end">{words}</text>'
            f'{whisker}<circle class="dot" cx="{x(row["psnr"]):.1f}" cy="{y}" r="6"/></g>'
        )
    marks.append(
        f'<text class="axis" x="{right}" y="{bottom + 38}" text-anchor="end">PSNR against the truth, dB</text>'
    )
    caption = (
        f"The dots are means over the test {results['intervals']['over']}, the bars their {level(results)}s, the "
        "dashed line the blurry images. Bars that overlap do not say that two rows are alike; see Intervals below."
    )
    spoken = "; ".join(f"{label(row['method'])} {number(row['psnr'], 2)} dB" for row in shown)
    return _figure("PSNR of each row", caption, "".join(marks), spoken, bottom + 46)


def curve_chart(curves: Curves) -> str:
    """Validation PSNR over the steps, each curve named at its end."""
    heading = "Validation PSNR during training"
    finite = {name: [(s, v) for s, v in curve if math.isfinite(v)] for name, curve in curves.items()}
    kept = {name: curve for name, curve in finite.items() if curve}
    if not kept:
        return _figure(heading, "No validation figures were recorded.")
    left, right, top, bottom = 46, WIDTH_PX - 104, 12, 290
    steps, values = zip(*(point for curve in kept.values() for point in curve), strict=True)
    last, levels = max(1, *steps), ticks(min(values), max(values))
    x, y = scale(0, last, left, right), scale(levels[0], levels[-1], bottom, top)
    marks = [
        f'<line class="gridline" x1="{left}" x2="{right}" y1="{y(t):.1f}" y2="{y(t):.1f}"/>'
        f'<text class="axis" x="{left - 8}" y="{y(t) + 4:.1f}" text-anchor="end">{tick_label(t, levels)}</text>'
        for t in levels
    ]
    columns = [tick for tick in ticks(0, last, 4) if tick <= last]
    marks += [_below(t, columns, x, bottom) for t in columns]
    marks.append(
        f'<text class="axis" x="{(left + right) / 2}" y="{bottom + 38}" text-anchor="middle">training step</text>'
        f'<text class="axis" transform="translate(11 {(top + bottom) / 2}) rotate(-90)" text-anchor="middle">'
        "PSNR, dB</text>"
    )
    named = spread({name: y(curve[-1][1]) for name, curve in kept.items()}, 17, top)
    for name, curve in kept.items():
        places = [(f"{x(step):.1f}", f"{y(value):.1f}") for step, value in curve]
        dots = "".join(
            f'<circle class="dot" cx="{cx}" cy="{cy}" r="3.5">'
            f"<title>{escape(label(name))}, step {step}: {value:.2f} dB</title></circle>"
            for (cx, cy), (step, value) in zip(places, curve, strict=True)
        )
        marks.append(
            f'<g class="{css_class(name)}"><polyline class="curve" points="{" ".join(map(",".join, places))}"/>{dots}'
            f'<line class="leader" x1="{x(curve[-1][0]) + 4:.1f}" y1="{places[-1][1]}" '
            f'x2="{right + 10}" y2="{named[name]:.1f}"/>'
            f'<text class="name" x="{right + 13}" y="{named[name] + 4:.1f}">{escape(short(name))}</text></g>'
        )
    caption = "On the validation photographs, against the truth. The table has the weights of the last step."
    spoken = "; ".join(f"{label(name)} ends at {curve[-1][1]:.2f} dB" for name, curve in kept.items())
    return _figure(heading, caption, "".join(marks), spoken, bottom + 46)


def _below(tick: float, all_ticks: Sequence[float], x: Callable[[float], float], bottom: int) -> str:
    words = tick_label(tick, all_ticks)
    return f'<text class="axis" x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{words}</text>'


def _figure(heading: str, caption: str, marks: str = "", spoken: str = "", height: int = 0) -> str:
    """A drawing under its heading, if there are ``marks``; ``spoken`` is what those hear who do not see it."""
    drawing = ""
    if marks:
        words = escape(f"{heading}. {spoken}.")
        drawing = f'<svg viewBox="0 0 {WIDTH_PX} {height}" role="img" aria-label="{words}">{marks}</svg>'
    return f'<figure class="chart"><h3>{heading}</h3>{drawing}<figcaption>{escape(caption)}</figcaption></figure>'
