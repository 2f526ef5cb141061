from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import RichProgressBar

from jdrl_lightning.callbacks.progress import ProgressCallback, ProgressFile


def test_metrics_are_read_only_on_logged_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def get_metrics(self: Any, trainer: Any, module: Any) -> dict[str, int]:
        read.append(trainer.global_step)
        return {"train/loss": trainer.global_step}

    monkeypatch.setattr(RichProgressBar, "get_metrics", get_metrics)
    bar, module = ProgressCallback(), Any
    shown = []
    for step in range(1, 25):
        trainer: Any = SimpleNamespace(global_step=step, log_every_n_steps=10, callback_metrics={"val/gt/gain": 0.5})
        shown.append(bar.get_metrics(trainer, module)["train/loss"])
    assert read == [1, 10, 20]
    assert shown == [1] * 9 + [10] * 10 + [20] * 5


def test_the_file_holds_the_fraction_of_completed_steps(tmp_path: Path) -> None:
    file = ProgressFile(str(tmp_path / "progress"))
    for step, fraction in ((1, 0.125), (8, 1.0)):
        trainer: Any = SimpleNamespace(global_step=step, estimated_stepping_batches=8)
        file.on_train_batch_end(trainer)
        assert float((tmp_path / "progress").read_text()) == fraction
