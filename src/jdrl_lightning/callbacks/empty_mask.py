"""Warns if the calibration mask rejects every pixel: such a batch gives no gradient, which no loss shows."""

from __future__ import annotations

import logging
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

__all__ = ["EmptyMaskCallback"]

log = logging.getLogger(__name__)


class EmptyMaskCallback(Callback):
    """Warns once. Taken literally, Eq. 4 rejects every pixel of a perfectly aligned pair.

    Checks only logged steps, which synchronize with the device anyway.
    """

    def __init__(self) -> None:
        self.warned = False

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the mask of a logged step, if the objective has one."""
        every: int = getattr(trainer, "log_every_n_steps", 1)  # set by Lightning, but not declared
        if self.warned or not every or batch_idx % every or "mask" not in outputs.get("maps", {}):
            return
        if not outputs["maps"]["mask"].any():
            self.warned = True
            log.warning(
                "epoch %d, batch %d: the calibration mask rejects every pixel, so these pairs give no gradient; "
                "objective.min_px=0.5 keeps pixels that move less than 0.5 px, as objective=jdrl_robust does",
                trainer.current_epoch,
                batch_idx,
            )
