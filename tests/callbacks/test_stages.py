from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.callbacks.stages import StageCallback
from jdrl_lightning.objectives import Schedule


def follow(schedule: Schedule, epochs: range, callback: StageCallback) -> list[float]:
    logged: list[float] = []
    objective = SimpleNamespace(schedule=schedule)
    module: Any = SimpleNamespace(
        objective=objective, device="cpu", log=lambda name, value, **_: logged.append(float(value))
    )
    for epoch in epochs:
        trainer: Any = SimpleNamespace(current_epoch=epoch, is_global_zero=True)
        callback.on_train_epoch_start(trainer, module)
        callback.on_train_batch_start(trainer, module, None, 0)
    return logged


def test_each_stage_is_logged_and_announced_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert follow(Schedule.paper(), range(12, 18), StageCallback()) == [0, 0, 0, 1, 1, 1]
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("epoch 12: stage warmup (flow from blurry; ")
    assert second.startswith("epoch 15: stage joint (flow from restored; ")


def test_only_future_stages_may_be_edited() -> None:
    callback = StageCallback()
    follow(Schedule.paper(warmup_epochs=15), range(10), callback)
    again = StageCallback()
    again.load_state_dict(callback.state_dict())
    trainer: Any = None
    for schedule, allowed in ((Schedule.paper(warmup_epochs=20), True), (Schedule.paper(warmup_epochs=5), False)):
        module: Any = SimpleNamespace(objective=SimpleNamespace(schedule=schedule))
        if allowed:
            again.on_fit_start(trainer, module)
        else:
            with pytest.raises(UserError, match="epoch 9"):
                again.on_fit_start(trainer, module)
