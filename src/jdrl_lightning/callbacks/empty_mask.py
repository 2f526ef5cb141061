"""Says so when the calibration mask rejects everything: such a batch teaches nothing, and no loss shows it."""

from __future__ import annotations

import logging
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

__all__ = ["EmptyMaskCallback"]

log = logging.getLogger(__name__)


class EmptyMaskCallback(Callback):
    """Warns once. Eq. 4 read literally rejects every pixel of a pair that is perfectly aligned.

    It looks at the steps that are logged anyway, so that no other waits for the device.
    """

    def __init__(self) -> None:
        self.warned = False

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the step's mask, if it is a step to be logged and the objective has one."""
        every: int = getattr(trainer, "log_every_n_steps", 1)  # which Lightning sets, but does not declare
        if self.warned or not every or batch_idx % every or "mask" not in outputs.get("maps", {}):
            return
        if not outputs["maps"]["mask"].any():
            self.warned = True
            log.warning(
                "epoch %d, batch %d: the calibration mask rejects every pixel, so nothing is learned from such pairs; "
                "objective.min_px=0.5 keeps what hardly moves, as objective=jdrl_robust does",
                trainer.current_epoch,
                batch_idx,
            )
