"""Learning rate and batch size of a training that has not begun, found by Lightning's Tuner."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
from lightning.pytorch.tuner import Tuner

from jdrl_lightning import build
from jdrl_lightning.training.fit import measure_pairs
from jdrl_lightning.training.quiet import silence_lightning

__all__ = ["Found", "tuned"]

LOWEST, HIGHEST, STEPS = 1e-6, 1e-2, 100  # of the rates that are tried, one a step


class Found(NamedTuple):
    """``lr``: where the loss falls fastest; None: nowhere. ``batch_size``: the most that fits; None: not searched."""

    lr: float | None
    batch_size: int | None


def tuned(config: dict[str, Any]) -> Found:
    """Try learning rates, and on a GPU batch sizes, on the training that the plain ``config`` describes.

    The batch is not searched for on a CPU: it would be doubled until the system ends the process. Rates are tried in
    the first stages only, which a hundred steps see.

    Raises:
        UserError: a setting or the data does not allow this training.
    """
    silence_lightning()
    L.seed_everything(config["seed"], workers=True, verbose=False)
    module, data = build.module(config), build.datamodule(config)
    data.setup("fit")
    kept = ("accelerator", "precision", "gradient_clip_val")
    with tempfile.TemporaryDirectory() as scratch:
        trainer = L.Trainer(
            **{key: config["trainer"][key] for key in kept},
            devices=1,
            max_epochs=-1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=scratch,
        )
        device = trainer.strategy.root_device
        measure_pairs(module, data, device, Path(scratch) / "flow")
        tuner, batch_size = Tuner(trainer), None
        if device.type == "cuda":
            proposed = data.batch_size
            batch_size = tuner.scale_batch_size(module, datamodule=data, init_val=proposed)
            data.batch_size = proposed
        tried = tuner.lr_find(
            module, datamodule=data, min_lr=LOWEST, max_lr=HIGHEST, num_training=STEPS, update_attr=False
        )
    return Found(tried.suggestion() if tried else None, batch_size)
