"""How far a training is: a bar that does not slow an accelerator down, and a file for another process to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, RichProgressBar

__all__ = ["ProgressCallback", "ProgressFile"]


class ProgressCallback(RichProgressBar):
    """Rich's bar with the loss of the last step that is logged: Lightning's reads it off the device at every step, and
    the host then waits for the device each time."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[str, Any] = {}

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """What stands beside the bar."""
        every: int = getattr(trainer, "log_every_n_steps", 1)  # which Lightning sets, but does not declare
        if not self._shown or (every and trainer.global_step % every == 0):
            self._shown = super().get_metrics(trainer, pl_module)
        return self._shown


class ProgressFile(Callback):
    """Keeps the share of the steps that are done, from 0 to 1, in a file."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Write it anew."""
        self.path.write_text(f"{trainer.global_step / trainer.estimated_stepping_batches:.4f}")
