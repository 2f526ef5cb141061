"""callbacks=ema: Lightning's weight averaging with our validation, checkpoints and resumption."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging

from jdrl_lightning import build
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.flow.gauss_newton import GaussNewton
from jdrl_lightning.metrics import psnr

RUN = (
    "callbacks=ema", "callbacks.ema.decay=0.9", "optim.optimizer.lr=1e-3", "trainer.max_epochs=2",
    "trainer.limit_train_batches=3", "objective.warmup_epochs=1", "callbacks.best=null", "data.num_workers=0",
)  # fmt: skip
EVERY = (
    "+callbacks.every={_target_: lightning.pytorch.callbacks.ModelCheckpoint, dirpath: %s, save_top_k: -1, "
    "filename: '{step}', every_n_train_steps: 1, save_on_train_epoch_end: false}"
)


@pytest.fixture(scope="module")
def kept() -> dict[str, Path]:
    return {}


@pytest.fixture
def whole(kept: dict[str, Path], train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One uninterrupted run for all tests of this file, with a checkpoint of each step next to it."""
    if not kept:
        folder = tmp_path_factory.mktemp("ema")
        kept["run"] = train(folder / "run", *RUN, EVERY % (folder / "steps"))
    return kept["run"]


def states(run: Path) -> dict[str, torch.Tensor]:
    """Averaged and current weights."""
    checkpoint = read_checkpoint(run / "checkpoints" / "last.ckpt")
    return {f"{part}/{name}": value for part in ("state_dict", "current_model_state")
            for name, value in checkpoint[part].items()}  # fmt: skip


@pytest.mark.parametrize("step", [2, 3, 5], ids=["mid-epoch", "epoch end", "second epoch"])
def test_a_resumed_run_equals_the_uninterrupted_one(
    step: int, whole: Path, train: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = whole.parent / "steps" / f"step={step}.ckpt"
    found, expected = states(train(tmp_path / "run", *RUN, f"ckpt_path='{checkpoint}'")), states(whole)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_validation_and_the_saved_network_have_averaged_weights(whole: Path) -> None:
    path = whole / "checkpoints" / "last.ckpt"
    checkpoint = read_checkpoint(path)
    with (whole / "metrics.csv").open() as file:
        logged = [float(row["val/gt/psnr"]) for row in csv.DictReader(file) if row["val/gt/psnr"]][-1]
    module = build.from_checkpoint(path)
    data = build.datamodule(module.config)
    data.setup("validate")
    quality = []
    for state in ("state_dict", "current_model_state"):
        module.load_state_dict(checkpoint[state])
        pairs = [module.on_after_batch_transfer(batch, 0) for batch in data.val_dataloader()]
        with torch.no_grad():
            values = [psnr(module(pair.blurry).clamp(0, 1), pair.sharp).item() for pair in pairs]
        quality.append(sum(values) / len(values))
    averaged, current = quality
    assert logged == pytest.approx(averaged, abs=1e-4)
    assert abs(logged - current) > 1e-2


def test_frozen_networks_are_not_copied(
    train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the flow estimator of the objective nor the networks of the metrics."""
    seen: list[Any] = []
    original = EMAWeightAveraging.on_train_end

    def record(self: Any, trainer: Any, pl_module: Any) -> None:
        seen.extend([self._average_model.module, pl_module])
        original(self, trainer, pl_module)

    monkeypatch.setattr(EMAWeightAveraging, "on_train_end", record)
    train(tmp_path / "run", *RUN, "debug=fast", "trainer.max_epochs=1")
    copy, module = seen
    assert isinstance(module.objective.flow, GaussNewton)
    assert copy.objective.flow is module.objective.flow
    assert copy.backbone is not module.backbone
    assert {name.split(".")[0] for name, _ in copy.named_parameters()} == {"backbone", "objective"}
