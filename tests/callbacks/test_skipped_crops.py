from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks.skipped_crops import SkippedCallback


def test_each_epoch_reports_the_crops_replaced_in_it_over_all_ranks(caplog: pytest.LogCaptureFixture) -> None:
    logged: list[tuple[str, float]] = []
    counter = SimpleNamespace(total=0)
    data = SimpleNamespace(on_error="skip", skipped=lambda: counter.total)
    strategy = SimpleNamespace(reduce=lambda value, reduce_op: {"sum": 2 * value}[reduce_op])  # two equal ranks
    trainer: Any = SimpleNamespace(datamodule=data, strategy=strategy, is_global_zero=True, current_epoch=0)
    module: Any = SimpleNamespace(device=torch.device("cpu"), log=lambda name, value, **_: logged.append((name, value)))
    callback = SkippedCallback()
    for counter.total in (3, 3, 8):  # so far on this rank
        callback.on_train_epoch_end(trainer, module)
        trainer.current_epoch += 1
    assert logged == [("train/skipped", 6.0), ("train/skipped", 0.0), ("train/skipped", 10.0)]
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split(" crops")[0] for message in messages] == ["epoch 0: 6", "epoch 2: 10"]
    data.on_error = "stop"
    callback.on_train_epoch_end(trainer, module)
    trainer.datamodule = None  # trained from plain data loaders
    callback.on_train_epoch_end(trainer, module)
    assert len(logged) == 3
