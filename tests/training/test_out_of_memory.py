"""What a training says when the GPU's memory is used up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.training.out_of_memory import what_helps


def test_a_training_says_what_would_help(
    train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(self: Backbone, blurry: torch.Tensor) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore lines")

    monkeypatch.setattr(Backbone, "forward", too_much)
    with pytest.raises(UserError) as error:
        train(tmp_path / "run")
    told = str(error.value)
    assert "\n" not in told
    for remedy in (
        "trainer.precision=bf16-mixed",
        "data.batch_size=1 with trainer.accumulate_grad_batches=2",
        "data.crop=16",
    ):
        assert remedy in told


def test_nothing_is_advised_that_is_done_already() -> None:
    told = what_helps({"data": {"batch_size": 1, "crop": 256}, "trainer": {"precision": "bf16-mixed"}})
    assert "precision" not in told
    assert "batch_size" not in told
    assert "data.crop=192" in told
