"""Checkpoints in the middle of an epoch: by the clock, and when the process is told to end."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from jdrl_lightning.errors import UserError
from jdrl_lightning.runtime.preemption import REQUEUE, notice

__all__ = ["MidwayCheckpoint"]

log = logging.getLogger(__name__)


class MidwayCheckpoint(Checkpoint):
    """Saves every few minutes, so that a kill costs no more than these; on SIGTERM or SIGUSR1 it saves after the step
    that is being made and ends the process with exit code 75.

    Between an epoch's last step and its end nothing is saved, since a training cannot go on from there exactly: told to
    end during validation, it ends after it. All processes of a training save and end after the same step, whichever of
    them was told.

    Args:
        path: the file; each save replaces it.
        every_minutes: 0 for never by the clock.

    Raises:
        UserError: a negative number of minutes.
    """

    def __init__(self, path: str | Path, every_minutes: float = 10.0) -> None:
        if not every_minutes >= 0:
            raise UserError(f"callbacks.midway.every_minutes={every_minutes} is negative; give 0 for never, or more")
        self.path, self.every_s = Path(path), 60 * every_minutes
        self._since = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        notice.deferred = True
        notice.install()  # instead of Lightning, which talks to the other processes inside the signal's handler
        self._since = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where that is exact: after an optimiser's step that is not the epoch's last."""
        done = batch_idx + 1
        if done % trainer.accumulate_grad_batches or trainer.is_last_batch or done == trainer.num_training_batches:
            return
        due = self.every_s > 0 and time.monotonic() - self._since >= self.every_s
        told, due = _agreed(trainer, notice.received, due and trainer.is_global_zero)
        if told or due:
            self._save(trainer, told)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since = time.monotonic()
        (told,) = _agreed(trainer, notice.received)
        if told:
            self._save(trainer, told)

    def _save(self, trainer: L.Trainer, told: bool) -> None:
        trainer.save_checkpoint(self.path)
        self._since = time.monotonic()
        if told:
            log.info("told to end: saved %s, which ckpt_path=auto goes on from; exit code %d", self.path, REQUEUE)
            raise SystemExit(REQUEUE)


def _agreed(trainer: L.Trainer, *flags: bool) -> list[bool]:
    """Each of ``flags``, true if it is so in any process."""
    if trainer.world_size == 1:
        return list(flags)
    here = torch.tensor(flags, dtype=torch.int32, device=trainer.strategy.root_device)
    return [bool(flag) for flag in trainer.strategy.reduce(here, reduce_op="max").tolist()]
