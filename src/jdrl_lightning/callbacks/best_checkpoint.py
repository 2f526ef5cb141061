"""``best.ckpt``, which is not that of an untrained network."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from jdrl_lightning.callbacks.learning import MOVED

__all__ = ["BestCheckpoint"]


class BestCheckpoint(ModelCheckpoint):
    """ModelCheckpoint that prefers any network that does something to one that returns its input.

    Without a truth the input itself scores well, so a network that starts as the identity would be best in its first
    epoch. By ``val/change`` of :class:`.quality.QualityCallback`; without that it is Lightning's.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.moved = False

    @property
    def state_key(self) -> str:
        """Lightning's, so that earlier checkpoints go on."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__)

    def check_monitor_top_k(self, trainer: L.Trainer, current: Tensor | None = None) -> bool:
        """Whether the current epoch is to be kept: not before a validation, as where ``max_steps`` ends the first."""
        if current is None:
            return False
        change = trainer.callback_metrics.get("val/change")
        moved = change is None or bool(change >= MOVED)
        first, self.moved = moved and not self.moved, self.moved or moved
        return (first or super().check_monitor_top_k(trainer, current)) and moved >= self.moved

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"moved": self.moved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        if self.best_model_score is not None:  # else Lightning has not taken the state of another folder
            self.moved = bool(state_dict.get("moved", True))
