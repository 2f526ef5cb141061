"""Reports at the end of each epoch how many crops of unreadable pairs were replaced."""

from __future__ import annotations

import logging
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

__all__ = ["SkippedCallback"]

log = logging.getLogger(__name__)


class SkippedCallback(Callback):
    """Logs ``train/skipped``, the number of crops replaced in an epoch over all ranks, with a warning; only with
    ``data.on_error=skip``."""

    def __init__(self) -> None:
        self._before = 0

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        if getattr(data, "on_error", "stop") != "skip":
            return
        here = torch.tensor(data.skipped() - self._before, device=pl_module.device)
        self._before = data.skipped()
        skipped = int(trainer.strategy.reduce(here, reduce_op="sum"))
        pl_module.log("train/skipped", float(skipped), rank_zero_only=True)
        if skipped and trainer.is_global_zero:
            log.warning("epoch %d: %d crops of pairs that cannot be read were replaced", trainer.current_epoch, skipped)
