from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jdrl_lightning.callbacks.learning import LearningCallback, reason
from jdrl_lightning.objectives.schedule import Schedule


def warned(
    caplog: pytest.LogCaptureFixture, change: float, gain: float, epochs: int = 10, asked: int | None = None
) -> list[int]:
    """The epochs of a training with its last stage from the third on in which a warning is given."""
    module: Any = SimpleNamespace(objective=SimpleNamespace(schedule=Schedule.build("paper", warmup_epochs=3)))
    figures = {"val/change": change, "val/deformed_gt/gain": gain, "val/gt/gain": -9.0}
    callback, found = LearningCallback(), []
    for epoch in range(epochs):
        when = {"current_epoch": epoch, "max_epochs": asked or epochs, "global_step": 9 * epoch}
        trainer: Any = SimpleNamespace(sanity_checking=False, is_global_zero=True, callback_metrics=figures, **when)
        caplog.clear()
        callback.on_validation_end(trainer, module)
        found += [epoch] * len(caplog.messages)
    return found


def test_a_warning_is_given_once_and_not_too_early(caplog: pytest.LogCaptureFixture) -> None:
    assert warned(caplog, change=3.0, gain=0.5) == []
    assert warned(caplog, change=0.1, gain=0.0) == [4]  # half of the epochs
    assert warned(caplog, change=3.0, gain=-0.5) == [3]  # the last stage has been trained for an epoch
    assert warned(caplog, change=3.0, gain=-0.5, epochs=3) == []
    assert warned(caplog, change=0.1, gain=0.0, epochs=12, asked=-1) == [9]


@pytest.mark.parametrize(("change", "gain", "steps", "warps", "words"), [
    (0.1, 0.0, 200, True, "by only 0.10 of 255 levels after 200 steps"),
    (2.0, -0.3, 200, True, "0.30 dB further from the sharp image than the untouched input; likely 200 steps are"),
    (2.0, -0.3, 20000, True, "the rate is too high"),
    (2.0, -0.3, 20000, False, "the pairs are misaligned"),
    (2.0, 0.0, 20000, True, None),
])  # fmt: skip
def test_the_likely_reason(change: float, gain: float, steps: int, warps: bool, words: str | None) -> None:
    line = reason(change, gain, steps, warps)
    assert (line is None) if words is None else (line is not None and words in line)
