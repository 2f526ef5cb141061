from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks.empty_mask import EmptyMaskCallback


def test_an_empty_mask_warns_once_and_only_on_logged_steps(caplog: pytest.LogCaptureFixture) -> None:
    callback, module = EmptyMaskCallback(), Any
    trainer: Any = SimpleNamespace(log_every_n_steps=5, current_epoch=2)
    empty = {"maps": {"mask": torch.zeros(1, 1, 4, 4)}}
    callback.on_train_batch_end(trainer, module, {"maps": {}}, None, 0)
    callback.on_train_batch_end(trainer, module, {"maps": {"mask": torch.eye(4)[None, None]}}, None, 0)
    callback.on_train_batch_end(trainer, module, empty, None, 3)
    assert not caplog.records
    for batch in (5, 10):
        callback.on_train_batch_end(trainer, module, empty, None, batch)
    assert len(caplog.records) == 1
    assert "epoch 2, batch 5" in caplog.text
    assert "objective.min_px=0.5" in caplog.text
