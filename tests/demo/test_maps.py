from __future__ import annotations

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from demo.page import Page
from jdrl_lightning.demo.maps import BLUR, LONGER, colours, largest, needles, scale


@pytest.mark.parametrize(
    ("tops", "end"), [((0.9,), 1), ((1.0,), 1), ((3.2, 1.1), 4), ((0.21,), 0.3), ((7.0,), 8), ((0.0,), 1), ((), 1)]
)
def test_a_scale_ends_at_a_round_number_that_holds_the_maps(tops: tuple[float, ...], end: float) -> None:
    assert largest(np.full((4, 4), top, np.float32) for top in tops) == pytest.approx(end)


def test_a_few_extremes_and_what_is_not_finite_do_not_stretch_the_scale() -> None:
    values = np.full((100, 100), 1.8, np.float32)
    values[0, :50] = 40
    assert largest([values, np.full((2, 2), np.nan, np.float32)]) == 2


def test_colours_are_matplotlibs_over_the_scale() -> None:
    values = np.array([[0, 1, 4, 9]], np.float32)
    expected = plt.get_cmap(BLUR)([[0, 0.25, 1, 1]], bytes=True)[..., :3]
    np.testing.assert_array_equal(colours(values, 4, BLUR), expected)
    np.testing.assert_array_equal(colours(np.array([[np.nan]], np.float32), 4, BLUR)[0, 0], expected[0, 0])


def test_the_legend_names_its_ends() -> None:
    page = Page(scale(0.5, BLUR, "a < b"))
    assert page.text == "a < b 0 0.5 px and more"
    assert "#440154, " in str(page.tags[3][1]["style"])


def test_needles_point_along_the_shift() -> None:
    shift = np.zeros((2, 48, 72), np.float32)
    shift[:, 12, 36] = (2, -1)  # a place of the grid; the others have not moved
    shift[0, 36, 36] = np.nan
    source = needles(shift)
    page = Page(source)
    assert page.tags[0][1]["viewbox"] == "0 0 72 48"
    (needle,) = re.findall("M([^Z]*)Z", source)
    points = np.array([[float(v) for v in point.split()] for point in needle.split("L")])
    np.testing.assert_allclose(points[1], (36 + 2 * LONGER, 12 - LONGER), atol=0.06)
    np.testing.assert_allclose((points[0] + points[2]) / 2, (36, 12), atol=0.06)
