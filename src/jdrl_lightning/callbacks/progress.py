"""A progress bar that does not slow an accelerator down."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar

__all__ = ["ProgressCallback"]


class ProgressCallback(RichProgressBar):
    """Rich's bar with the loss of the last step that is logged: Lightning's reads it off the device at every step, and
    the host then waits for the device each time."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[str, Any] = {}

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """What stands beside the bar."""
        every: int = getattr(trainer, "log_every_n_steps", 1)  # which Lightning sets, but does not declare
        if trainer.global_step % every == 0 or not self._shown:
            self._shown = super().get_metrics(trainer, pl_module)
        return self._shown
