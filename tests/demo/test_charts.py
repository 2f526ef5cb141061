from __future__ import annotations

import math
import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from demo.page import CURVES, METHODS, Page, made_up
from jdrl_lightning.demo.charts import curve_chart, curve_figure, dot_chart, dot_figure


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    return figure


def test_dots_and_bars_lie_where_the_numbers_are() -> None:
    results = made_up()
    (axis,) = drawn(dot_figure(results)).axes
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    bars = [line for line in axis.lines if line.get_marker() == "|"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [row["psnr"] for row in results["rows"]]
    assert [list(bar.get_xdata()) for bar in bars] == list(results["intervals"]["psnr"].values())
    assert [dot.get_ydata()[0] for dot in dots] == [bar.get_ydata()[1] for bar in bars] == [0, 1, 2, 3, 4, 5]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]  # the first row on top
    assert len({dot.get_color() for dot in dots}) == len(dots)


def test_curves_show_every_value_and_the_legend_follows_their_ends() -> None:
    figure = drawn(curve_figure(CURVES))
    found = {tuple(zip(*line.get_data(), strict=True)) for line in figure.axes[0].lines}
    assert found == {tuple(curve) for curve in CURVES.values()}
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["upper bound", "JDRL", "registered", "pixel-wise"]


def shown(figure: Figure) -> list[Text]:
    """Without the labels of ticks beyond the axes, which are kept and not drawn."""
    (axes,) = figure.axes
    beyond: set[Text] = set()
    for place, axis in enumerate((axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        beyond |= {label for label in axis.get_ticklabels() if not low <= label.get_position()[place] <= high}
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text() and text not in beyond]


@pytest.mark.parametrize("psnr", [(23.41, 22.87, 24.02, 24.61, 25.13), (20.0,) * 5, (7.25, 9.5, 19.75, 27.0, 38.0)])
def test_no_text_is_cut_or_covers_another(psnr: tuple[float, ...]) -> None:
    for figure in (drawn(dot_figure(made_up(psnr))), drawn(curve_figure(CURVES))):
        extents = {text.get_text(): text.get_window_extent() for text in shown(figure)}
        assert len(extents) > 8
        for text, box in extents.items():
            assert (figure.bbox.min <= box.min).all(), text
            assert (box.max <= figure.bbox.max).all(), text
        for (text, box), (other, second) in combinations(extents.items(), 2):
            assert not box.overlaps(second), (text, other)


def test_nothing_to_draw() -> None:
    for curves in ({}, {"jdrl": []}, {"jdrl": [(0, math.nan)]}):
        assert curve_figure(curves) is None
        assert "No validation PSNR was recorded." in curve_chart(curves)
    nothing = made_up((math.nan,) * 5, shipped=math.nan)
    assert dot_figure(nothing) is None
    assert "There is no finite PSNR to draw." in dot_chart(nothing)


def test_rows_without_an_interval_and_values_alone() -> None:
    results = made_up()
    results["intervals"]["psnr"] = {"jdrl": [math.nan, 25.0]}
    (axis,) = drawn(dot_figure(results)).axes
    assert [line.get_marker() for line in axis.lines].count("o") == 6
    assert "|" not in [line.get_marker() for line in axis.lines]
    (line,) = drawn(curve_figure({"jdrl": [(0, 20.0), (5, math.inf)]})).axes[0].lines
    np.testing.assert_array_equal(line.get_xydata(), [[0, 20.0]])


def test_charts_take_every_colour_from_the_style_sheet_and_speak() -> None:
    source = dot_chart(made_up()) + curve_chart(CURVES)
    page = Page(source)
    assert not re.findall("#[0-9a-f]{6}", source)
    used = set(re.findall(r"var\(--([\w-]+)\)", source))
    assert used >= {*METHODS, "soft", "grid"}
    light, dark = files("jdrl_lightning.demo").joinpath("report.css").read_text("utf-8").split("}", 1)
    dark = dark.split("* {")[0]
    for name in used:
        assert f"--{name}:" in light
        assert f"--{name}:" in dark
    first, second = (attrs for tag, attrs in page.tags if tag == "svg")
    assert "JDRL 24.61 dB" in str(first["aria-label"])
    assert "JDRL ends at 22.50 dB" in str(second["aria-label"])
    assert {first["role"], second["role"]} == {"img"}
    for text in ("Upper bound", "As shipped", "24.61 [23.78 to 25.52]", "registered", "training step"):
        assert text in page.text  # as text, which can be found and copied


def test_a_name_is_no_formula() -> None:
    name = "<i>$x_1$ & \\alpha"
    results = made_up()
    results["rows"][0]["method"] = name
    for source in (dot_chart(results), curve_chart({name: [(0, 20.0)]})):
        assert name in Page(source).text
        assert "<i>" not in source
