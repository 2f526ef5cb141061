from __future__ import annotations

import pytest

from jdrl_lightning.rates import Cosine, StepDecay


def test_the_paper_halves_every_sixty_epochs() -> None:
    assert [StepDecay()(epoch) for epoch in (0, 59, 60, 119, 120)] == [1, 1, 0.5, 0.5, 0.25]


def test_cosine_warms_up_peaks_and_ends_at_its_floor() -> None:
    rate = Cosine(epochs=12, warmup_epochs=2, floor=0.01)
    assert [rate(0), rate(1), rate(2)] == [0.5, 1.0, 1.0]
    assert rate(7) == pytest.approx(0.505)
    assert rate(12) == pytest.approx(0.01)
    assert rate(100) == pytest.approx(0.01)
