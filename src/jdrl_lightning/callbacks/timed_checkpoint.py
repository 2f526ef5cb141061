"""Checkpoints in mid-epoch: at regular time intervals, and on a stop signal."""

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
    """Saves every few minutes, so that a kill loses little; on SIGTERM or SIGUSR1, saves after the current step and
    exits with code 75.

    Nothing is saved between an epoch's last step and its end, where a training cannot be resumed exactly: a signal
    during validation takes effect after it. All ranks save and exit after the same step, whichever of them received the
    signal.

    Args:
        path: the file; each save replaces it.
        every_minutes: interval; 0 saves only on signals.

    Raises:
        UserError: a negative number of minutes.
    """

    def __init__(self, path: str | Path, every_minutes: float = 10.0) -> None:
        if not every_minutes >= 0:
            raise UserError(f"callbacks.midway.every_minutes={every_minutes} is negative; set 0 (never) or more")
        self.path, self.every_s = Path(path), 60 * every_minutes
        self._since = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        notice.deferred = True
        notice.install()  # replaces Lightning's handler, which runs collectives inside the signal handler
        self._since = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save only after an optimizer step that is not the epoch's last, where resuming is exact."""
        done = batch_idx + 1
        if done % trainer.accumulate_grad_batches or trainer.is_last_batch or done == trainer.num_training_batches:
            return
        due = self.every_s > 0 and time.monotonic() - self._since >= self.every_s
        stop, due = _any_rank(trainer, notice.received, due and trainer.is_global_zero)
        if stop or due:
            self._save(trainer, stop)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since = time.monotonic()
        (stop,) = _any_rank(trainer, notice.received)
        if stop:
            self._save(trainer, stop)

    def _save(self, trainer: L.Trainer, stop: bool) -> None:
        trainer.save_checkpoint(self.path)
        self._since = time.monotonic()
        if stop:
            log.info("stop signal received: saved %s; resume with ckpt_path=auto; exit code %d", self.path, REQUEUE)
            raise SystemExit(REQUEUE)


def _any_rank(trainer: L.Trainer, *flags: bool) -> list[bool]:
    """Each of ``flags``, true if it is true on any rank."""
    if trainer.world_size == 1:
        return list(flags)
    here = torch.tensor(flags, dtype=torch.int32, device=trainer.strategy.root_device)
    return [bool(flag) for flag in trainer.strategy.reduce(here, reduce_op="max").tolist()]
