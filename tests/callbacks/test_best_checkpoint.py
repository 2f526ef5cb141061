from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringModel

from jdrl_lightning.callbacks.best_checkpoint import BestCheckpoint

SETTINGS: dict[str, Any] = {"filename": "best", "monitor": "psnr", "mode": "max", "enable_version_counter": False}


class Scripted(BoringModel):
    """Logs the given figures, one an epoch."""

    def __init__(self, psnr: list[float], change: list[float]) -> None:
        super().__init__()
        self.figures = {"psnr": psnr, "val/change": change}

    def on_validation_epoch_end(self) -> None:
        for name, values in self.figures.items():
            if values:
                self.log(name, values[self.current_epoch])


def best_epoch(
    folder: Path, psnr: list[float], change: list[float], kind: type[ModelCheckpoint] = BestCheckpoint
) -> int:
    trainer = L.Trainer(
        default_root_dir=folder, callbacks=[BestCheckpoint(dirpath=folder, **SETTINGS)], max_epochs=len(psnr),
        logger=False, limit_train_batches=1, limit_val_batches=1, enable_progress_bar=False, accelerator="cpu",
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Scripted(psnr, change))
    assert [path.name for path in folder.glob("*.ckpt")] == ["best.ckpt"]
    epoch: int = torch.load(folder / "best.ckpt", weights_only=True)["epoch"]
    return epoch


@pytest.mark.parametrize(("psnr", "change", "epoch"), [
    ([30.0, 25.0, 27.0, 26.0], [0.0, 0.2, 3.0, 3.0], 2),  # the identity scores best
    ([30.0, 25.0, 27.0, 26.0], [0.0, 0.7, 3.0, 3.0], 2),
    ([25.0, 30.0, 27.0], [0.0, 0.1, 0.2], 1),  # it never moves
    ([25.0, 30.0, 31.0], [3.0, 3.0, 0.1], 1),  # it falls back
    ([25.0, 30.0, 27.0], [], 1),  # not measured
])  # fmt: skip
def test_a_network_that_does_something_is_preferred(
    psnr: list[float], change: list[float], epoch: int, tmp_path: Path
) -> None:
    assert best_epoch(tmp_path, psnr, change) == epoch


def test_the_state_is_lightnings_with_one_fact_more(tmp_path: Path) -> None:
    ours, theirs = BestCheckpoint(dirpath=tmp_path, **SETTINGS), ModelCheckpoint(dirpath=tmp_path, **SETTINGS)
    assert ours.state_key == theirs.state_key
    assert ours.state_dict() == theirs.state_dict() | {"moved": False}
    theirs.best_model_score = torch.tensor(25.0)
    ours.load_state_dict(theirs.state_dict())
    assert ours.moved


@pytest.mark.filterwarnings("ignore:.*could not find the monitored key")
def test_an_epoch_that_ends_before_its_validation_keeps_nothing(tmp_path: Path) -> None:
    trainer = L.Trainer(
        default_root_dir=tmp_path, callbacks=[BestCheckpoint(dirpath=tmp_path, **SETTINGS)], max_steps=1,
        logger=False, limit_train_batches=2, limit_val_batches=1, num_sanity_val_steps=0, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Scripted([25.0], [3.0]))
    assert trainer.global_step == 1
    assert not list(tmp_path.glob("*.ckpt"))
