from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks.learning import LearningCallback, reason
from jdrl_lightning.objectives.schedule import Schedule


def warned(
    caplog: pytest.LogCaptureFixture,
    change: float,
    gain: float,
    epochs: int = 10,
    asked: int | None = None,
    each: int = 90,
) -> list[int]:
    """The epochs of ``each`` steps, the last stage being from the third on, in which a warning is given."""
    module: Any = SimpleNamespace(objective=SimpleNamespace(schedule=Schedule.build("paper", warmup_epochs=3)))
    figures = {"val/change": change, "val/deformed_gt/gain": gain, "val/gt/gain": -9.0}
    optimizers = [torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=2e-5)]
    callback, found = LearningCallback(), []
    for epoch in range(epochs):
        when = {"current_epoch": epoch, "max_epochs": asked or epochs, "global_step": each * (epoch + 1)}
        trainer: Any = SimpleNamespace(
            sanity_checking=False, is_global_zero=True, callback_metrics=figures, optimizers=optimizers, **when
        )
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


def test_a_trial_run_is_not_judged(caplog: pytest.LogCaptureFixture) -> None:
    assert warned(caplog, change=0.1, gain=0.0, each=19) == []
    assert warned(caplog, change=3.0, gain=-0.5, each=19) == []
    assert warned(caplog, change=0.1, gain=0.0, each=25) == [7]


FEW, LOW = "300 steps are few", "a rate of 2e-05 is low (optim=cosine"
DOCTOR = "fit badly (python -m jdrl_lightning.doctor)"


@pytest.mark.parametrize(("change", "gain", "steps", "rate", "follows", "words", "absent"), [
    (0.1, 0.0, 300, 2e-5, True, ["by only 0.10 of 255 levels after 300 steps", FEW, LOW], [DOCTOR]),
    (0.1, 0.0, 300, 3e-4, True, [FEW], ["rate", "optim=cosine", DOCTOR]),
    (0.1, 0.0, 20000, 2e-5, True, [LOW], ["few", DOCTOR]),
    (0.1, 0.0, 20000, 3e-4, True, ["the pairs are hardly blurred or " + DOCTOR], ["few", "rate", "optim=cosine"]),
    (2.0, -0.3, 300, 3e-4, True, ["0.30 dB further from the sharp image than", "; likely " + FEW], [DOCTOR]),
    (2.0, -0.3, 300, 3e-4, False, [FEW, "or the pairs are misaligned"], ["rate"]),
    (2.0, -0.3, 20000, 3e-4, True, ["a rate of 0.0003 is high", DOCTOR], ["few", "low"]),
    (2.0, -0.3, 20000, 2e-5, True, ["likely the pairs " + DOCTOR], ["few", "rate", "blurred"]),
    (2.0, -0.3, 20000, 3e-4, False, ["likely the pairs are misaligned"], ["few", "rate"]),
])  # fmt: skip
def test_the_likely_reason_is_one_that_applies(
    change: float, gain: float, steps: int, rate: float, follows: bool, words: list[str], absent: list[str]
) -> None:
    line = reason(change, gain, steps, rate, follows)
    assert line is not None
    assert all(word in line for word in words), line
    assert not any(word in line for word in absent), line


@pytest.mark.parametrize(("change", "gain", "steps"), [(2.0, 0.0, 20000), (0.1, 0.0, 40), (2.0, -0.3, 40)])
def test_nothing_is_said_where_nothing_is_wrong_or_known(change: float, gain: float, steps: int) -> None:
    assert reason(change, gain, steps, 2e-5, True) is None
