"""Running out of GPU memory ends in one line with remedies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.training.out_of_memory import what_helps


def test_the_error_lists_remedies(train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(self: Backbone, blurry: torch.Tensor) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore lines")

    monkeypatch.setattr(Backbone, "forward", out_of_memory)
    with pytest.raises(UserError) as error:
        train(tmp_path / "run")
    message = str(error.value)
    assert "\n" not in message
    for remedy in (
        "trainer.precision=bf16-mixed",
        "data.batch_size=1 with trainer.accumulate_grad_batches=2",
        "data.crop=16",
    ):
        assert remedy in message


def test_settings_already_in_use_are_not_suggested() -> None:
    message = what_helps({"data": {"batch_size": 1, "crop": 256}, "trainer": {"precision": "bf16-mixed"}})
    assert "precision" not in message
    assert "batch_size" not in message
    assert "data.crop=192" in message
