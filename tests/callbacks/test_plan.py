from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks import plan

MODULE: Any = None


def test_steps_crops_and_time_are_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "jdrl_lightning")
    clock = iter([100.0, 105.0])
    monkeypatch.setattr(plan.time, "monotonic", lambda: next(clock))
    settings = {
        "is_global_zero": True,
        "world_size": 2,
        "num_training_batches": 20,
        "max_epochs": 13,
        "current_epoch": 1,
    }
    trainer: Any = SimpleNamespace(**settings)
    pair: Any = SimpleNamespace(blurry=torch.zeros(4, 3, 64, 48))
    callback = plan.PlanCallback()
    for step in range(20):
        callback.on_train_batch_start(trainer, MODULE, pair, step)
        callback.on_train_batch_end(trainer, MODULE, None, pair, step)
    assert caplog.messages == [
        "20 steps an epoch, of 8 crops of 64×48 px; epochs to go: 12",
        "0.5 s a step: about 2 min in all, not counting validation",  # 240 - 13 steps
    ]


@pytest.mark.parametrize(("seconds", "words"), [
    (12.3, "12 s"), (59, "59 s"), (113, "2 min"), (3599, "60 min"), (5400, "1.5 h"), (100_000, "27.8 h"),
    (200_000, "2.3 days"),
])  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert plan.duration(seconds) == words
