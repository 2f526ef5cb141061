"""Lightning's Tuner works with our modules: the rates that it tries are the ones that are trained with."""

from __future__ import annotations

import copy
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.tuner import Tuner
from torch import Tensor

from jdrl_lightning import DeblurringModule, backbones, objectives
from jdrl_lightning.data.datamodule import PairDataModule
from jdrl_lightning.data.pairs import FolderPairs
from small import BACKBONES


@pytest.fixture
def module() -> DeblurringModule:
    torch.manual_seed(0)
    return DeblurringModule(backbones.create("unet", **BACKBONES["unet"]), objectives.create("charbonnier"))


@pytest.fixture
def data(pairs_folder: Path) -> PairDataModule:
    return PairDataModule(lambda split: FolderPairs(pairs_folder, split), crop=32, repeat=8)


@pytest.fixture
def tuner(tmp_path: Path) -> Tuner:
    settings = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    return Tuner(L.Trainer(accelerator="cpu", max_epochs=1, default_root_dir=tmp_path, **settings))


def test_the_learning_rate_finder_trains_with_the_rates_it_tries(
    module: DeblurringModule, data: PairDataModule, tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def watch(_: DeblurringModule, optimizer: torch.optim.Optimizer) -> None:
        rates.append(optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(DeblurringModule, "on_before_optimizer_step", watch)
    before: dict[str, Tensor] = copy.deepcopy(module.state_dict())
    found = tuner.lr_find(module, datamodule=data, min_lr=1e-6, max_lr=1e-2, num_training=5, update_attr=False)
    assert found is not None
    assert rates[0] == 1e-6
    assert rates == sorted(set(rates))
    assert rates[-1] == pytest.approx(1e-2, rel=0.9)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)


def test_the_batch_size_finder_sets_that_of_the_data(
    module: DeblurringModule, data: PairDataModule, tuner: Tuner
) -> None:
    tuner.scale_batch_size(module, datamodule=data, init_val=1, max_trials=3, steps_per_trial=1)
    assert data.batch_size == 4
