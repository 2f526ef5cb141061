from __future__ import annotations

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.rates import Constant, Cosine, Milestones, StepDecay


def test_step_decay_halves_every_60_epochs() -> None:
    assert [StepDecay()(epoch) for epoch in (0, 59, 60, 119, 120)] == [1, 1, 0.5, 0.5, 0.25]


def test_cosine_warms_up_peaks_and_ends_at_its_floor() -> None:
    rate = Cosine(epochs=12, warmup_epochs=2, floor=0.01)
    assert [rate(0), rate(0.5), rate(1), rate(2)] == pytest.approx([0.01, 0.2575, 0.505, 1])
    assert rate(7) == pytest.approx(0.505)
    assert rate(12) == pytest.approx(0.01)
    assert rate(100) == pytest.approx(0.01)


def test_cosine_holds_for_a_fraction_of_the_training() -> None:
    rate = Cosine(epochs=300, hold=0.3, floor=0.01)
    assert [rate(epoch) for epoch in (0, 50, 90, 195, 300)] == pytest.approx([1, 1, 1, 0.505, 0.01])
    assert Cosine(epochs=10, warmup_epochs=4, hold=0.2)(3) == pytest.approx(0.75)


def test_milestones_are_fractions_of_the_training() -> None:
    rate = Milestones(epochs=12, at=[0.5, 0.75], gamma=0.1)
    assert [rate(epoch) for epoch in (0, 5, 6, 8, 9, 30)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("epochs", [-1, 0, None])
def test_cosine_and_milestones_need_the_number_of_epochs(epochs: int) -> None:
    for schedule in (Cosine, lambda epochs: Milestones(epochs, at=[0.5])):
        with pytest.raises(UserError, match=r"set trainer\.max_epochs"):
            schedule(epochs)


def test_constant() -> None:
    assert {Constant()(epoch) for epoch in (0, 60, 3000)} == {1.0}
