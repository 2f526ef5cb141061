from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks import throughput
from jdrl_lightning.callbacks.throughput import ThroughputCallback


def test_images_per_second_and_waiting_exclude_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(throughput.time, "monotonic", lambda: clock.now)
    logged: dict[str, float] = {}
    module: Any = SimpleNamespace(device=torch.device("cpu"), log_dict=lambda values, **_: logged.update(values))
    trainer: Any = SimpleNamespace(is_global_zero=True, world_size=2)
    batch: Any = SimpleNamespace(blurry=torch.zeros(3, 3, 4, 4))
    callback = ThroughputCallback()
    callback.on_train_start(trainer, module)
    for epoch in (1, 2):
        for _ in range(4):
            clock.now += 0.1 * epoch
            callback.on_train_batch_start(trainer, module, batch, 0)
            clock.now += 0.4 * epoch
            callback.on_train_batch_end(trainer, module, None, batch, 0)
        callback.on_validation_start(trainer, module)
        clock.now += 50
        callback.on_validation_end(trainer, module)
        callback.on_train_epoch_end(trainer, module)
        assert logged["train/images_per_s"] == pytest.approx(2 * 12 / (2 * epoch))
        assert logged["train/data_wait"] == pytest.approx(0.2)
    assert logged["train/peak_memory_mib"] > 10
    logged.clear()
    trainer.is_global_zero = False
    callback.on_train_epoch_end(trainer, module)
    assert not logged
