"""Training progress: a bar without device synchronization, and a file for other processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, RichProgressBar

__all__ = ["ProgressCallback", "ProgressFile"]


class ProgressCallback(RichProgressBar):
    """Rich's progress bar with the loss of the last logged step and the last validation's gain over the input;
    Lightning's synchronizes at every step to show its metrics."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[str, Any] = {}

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """The metrics shown next to the bar."""
        every: int = getattr(trainer, "log_every_n_steps", 1)  # set by Lightning, but not declared
        if not self._shown or (every and trainer.global_step % every == 0):
            self._shown = super().get_metrics(trainer, pl_module)
            gains = (trainer.callback_metrics.get(f"val/{name}/gain") for name in ("deformed_gt", "gt"))
            if (gain := next((value for value in gains if value is not None), None)) is not None:
                self._shown["gain, dB"] = f"{float(gain):+.2f}"
        return self._shown


class ProgressFile(Callback):
    """Writes the fraction of completed steps, from 0 to 1, to a file."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Update the file."""
        self.path.write_text(f"{trainer.global_step / trainer.estimated_stepping_batches:.4f}")
