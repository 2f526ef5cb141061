from __future__ import annotations

import math
import re

import numpy as np

from demo.page import METHODS, made_up
from jdrl_lightning.demo.charts import curve_chart, dot_chart


def test_charts_stay_inside_their_frame_and_keep_the_order_of_values() -> None:
    results = made_up()
    together = {
        name: [(0, 20.0), (100, 21.99 + i / 300)] for i, name in enumerate(METHODS[1:])
    }  # ends at the upper edge
    dots, curves = dot_chart(results), curve_chart(together)
    places = [float(x) for x in re.findall(r'cx="([-\d.]+)"', dots)]
    assert np.argsort(places).tolist() == np.argsort([row["psnr"] for row in results["rows"]]).tolist()
    for svg in (dots, curves):
        width, height = (float(v) for v in re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
        for axis, limit in (("x", width), ("y", height)):
            found = [float(v) for v in re.findall(rf' c?{axis}[12]?="([-\d.]+)"', svg)]
            assert found
            assert 0 <= min(found) <= max(found) <= limit
    heights = [float(y) for y in re.findall(r'class="name" x="[\d.]+" y="([\d.]+)"', curves)]
    assert len(heights) == 4
    assert min(heights) > 10
    assert np.diff(np.sort(heights)).min() > 15  # names of curves that end together do not cover each other


def test_nothing_to_draw() -> None:
    for curves in ({}, {"jdrl": []}, {"jdrl": [(0, math.nan)]}):
        assert "No validation figures were recorded." in curve_chart(curves)
    assert "There is no finite figure to draw." in dot_chart(made_up((math.nan,) * 5))


def test_one_figure_is_drawn() -> None:
    assert dot_chart(made_up((20.0,) * 5, 0.0)).count("<circle") == 5
    assert curve_chart({"jdrl": [(0, 20.0)]}).count("<circle") == 1
