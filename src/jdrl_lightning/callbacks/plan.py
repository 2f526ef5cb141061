"""Says at the start how much there is to train, and after the first steps how long that will take."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from jdrl_lightning.types import Pair

__all__ = ["PlanCallback", "duration"]

log = logging.getLogger(__name__)

WARM_UP, TIMED = 3, 10  # steps: the first ones allocate and compile


class PlanCallback(Callback):
    """Logs steps and crops once, and the time that they take by the steps after the first three; rank 0 only."""

    def __init__(self) -> None:
        self._steps = 0
        self._since = 0.0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Pair, batch_idx: int
    ) -> None:
        if self._steps == 0 and trainer.is_global_zero:
            crops, size = len(batch.blurry) * trainer.world_size, "×".join(map(str, batch.blurry.shape[-2:]))
            steps, epochs = trainer.num_training_batches, _left(trainer)
            log.info("%s steps an epoch, of %d crops of %s px; epochs to go: %s", steps, crops, size, epochs)
        if self._steps == WARM_UP:
            self._since = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Pair, batch_idx: int
    ) -> None:
        self._steps += 1
        if self._steps == WARM_UP + TIMED and trainer.is_global_zero:
            each = (time.monotonic() - self._since) / TIMED
            rest = each * (_left(trainer) * trainer.num_training_batches - batch_idx - 1)
            if math.isfinite(rest):
                log.info("%.2g s a step: about %s in all, not counting validation", each, duration(rest))


def _left(trainer: L.Trainer) -> float:
    """The number of epochs from the current one on."""
    asked = trainer.max_epochs
    return math.inf if asked is None or asked < 0 else asked - trainer.current_epoch


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h`` or ``2.5 days``."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length or (seconds >= length and unit != "days"):
            return f"{seconds / length:.{0 if unit == 'min' else 1}f} {unit}"
    return f"{seconds:.0f} s"
