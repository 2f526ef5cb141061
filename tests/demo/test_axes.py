from __future__ import annotations

import numpy as np
import pytest

from jdrl_lightning.demo.axes import scale, spread, tick_label, ticks


@pytest.mark.parametrize(("low", "high"), [(21.3, 25.9), (0.0, 40.0), (-3.0, 0.02), (20.0, 20.0), (22.871, 22.874)])
def test_ticks_are_round_and_enclose(low: float, high: float) -> None:
    found = ticks(low, high)
    steps = np.diff(found)
    assert found[0] <= low + 1e-9
    assert found[-1] >= high - 1e-9
    assert 2 <= len(found) <= 8
    assert np.ptp(steps) < 1e-9
    mantissa = steps[0] / 10.0 ** np.floor(np.log10(steps[0]) + 1e-9)
    assert any(mantissa == pytest.approx(m) for m in (1, 2, 5))
    labels = [tick_label(tick, found) for tick in found]
    assert len(set(labels)) == len(labels)
    assert [float(text.replace(",", "")) for text in labels] == pytest.approx(found, abs=1e-6)


def test_scale_goes_either_way() -> None:
    place = scale(20.0, 30.0, 290, 12)
    assert [place(20.0), place(25.0), place(30.0)] == [290, 151, 12]


def test_spread_names_keep_order_and_distance() -> None:
    moved = spread({"a": 50.0, "b": 49.0, "c": 200.0}, gap=17, least=12)
    assert moved["b"] < moved["a"] < moved["c"]
    assert moved["a"] - moved["b"] == pytest.approx(17)
    assert sum(moved.values()) == pytest.approx(50 + 49 + 200)
    assert min(spread({"a": 12.0, "b": 12.0}, gap=17, least=12).values()) == 12
