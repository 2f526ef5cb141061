"""Training speed and peak memory."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from jdrl_lightning.callbacks.summary import peak_memory_mib
from jdrl_lightning.types import Pair

__all__ = ["ThroughputCallback"]


class ThroughputCallback(Callback):
    """Logs once per epoch ``train/images_per_s``, crops per second over all ranks excluding validation,
    ``train/data_wait``, the share of rank 0's time between two steps, most of it waiting for data, and
    ``train/peak_memory_mib`` of rank 0 so far (GPU memory, or main memory on a CPU).

    It waits for the device only where an epoch or a validation starts or ends; Lightning's ThroughputMonitor does so at
    every step.
    """

    def __init__(self) -> None:
        self._since = 0.0
        self._paused = 0.0
        self._images = 0
        self._between = 0.0  # seconds
        self._stepped = 0.0  # when the last step ended

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since, self._images, self._between = _now(pl_module), 0, 0.0
        self._stepped = self._since

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Pair, batch_idx: int
    ) -> None:
        self._between += time.monotonic() - self._stepped

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Pair, batch_idx: int
    ) -> None:
        self._images += len(batch.blurry)
        self._stepped = time.monotonic()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._paused = _now(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        paused = _now(pl_module) - self._paused
        self._since, self._stepped = self._since + paused, self._stepped + paused

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        now = _now(pl_module)
        if trainer.is_global_zero:
            figures = {
                "train/images_per_s": trainer.world_size * self._images / (now - self._since),
                "train/data_wait": self._between / (now - self._since),
                "train/peak_memory_mib": peak_memory_mib(pl_module.device),
            }
            pl_module.log_dict(figures, batch_size=1, rank_zero_only=True)
        self._since, self._images, self._between = now, 0, 0.0


def _now(pl_module: L.LightningModule) -> float:
    if pl_module.device.type == "cuda":
        torch.cuda.synchronize(pl_module.device)
    return time.monotonic()
