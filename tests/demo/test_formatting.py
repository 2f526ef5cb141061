from __future__ import annotations

import math

from demo.page import made_up
from jdrl_lightning.demo.formatting import interval, listed, number, percent, psnr_interval, signed, spelled


def test_figures_have_a_true_minus_and_no_nan() -> None:
    assert [signed(0.5), signed(-0.5), percent(-0.58)] == ["+0.50", "−0.50", "−58\N{NO-BREAK SPACE}%"]
    assert number(0.9066, 3) == "0.907"
    for broken in (math.nan, math.inf):
        assert {number(broken, 2), signed(broken), percent(broken)} == {"–"}


def test_intervals_name_level_and_unit() -> None:
    results = made_up((23.0, 22.0, 24.0, 24.5, 25.0), 0.5)
    assert interval(results, "over_prealign_db").replace("\N{NO-BREAK SPACE}", " ") == "95 % interval +0.00 to +1.00 dB"
    assert interval(results, "gain_psnr").replace("\N{NO-BREAK SPACE}", " ") == "95 % interval 50 % to 100 %"
    assert psnr_interval(results, "jdrl") == "23.67 to 25.41"
    assert psnr_interval(results, "unknown") == "–"


def test_lists_and_counts() -> None:
    assert [listed(list(names)) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
    assert [spelled(4), spelled(12)] == ["four", "12"]
