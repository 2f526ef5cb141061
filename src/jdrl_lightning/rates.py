"""Learning-rate factors as pure functions of the epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Constant", "Cosine", "Milestones", "StepDecay"]


@dataclass(frozen=True)
class Constant:
    """1: the rate is held."""

    def __call__(self, epoch: int) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """``gamma ** (epoch // every)``; the paper halves every 60 epochs."""

    every: int = 60
    gamma: float = 0.5

    def __call__(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.every)


@dataclass(frozen=True)
class Milestones:
    """``gamma`` for each milestone that has passed; ``at`` says where they are, as shares of ``epochs``."""

    epochs: int
    at: Sequence[float]
    gamma: float = 0.5

    def __call__(self, epoch: int) -> float:
        return self.gamma ** sum(epoch >= share * self.epochs for share in self.at)


@dataclass(frozen=True)
class Cosine:
    """Linear from ``1/warmup_epochs`` to 1, then half a cosine down to ``floor`` at ``epochs``."""

    epochs: int
    warmup_epochs: int = 0
    floor: float = 0.0

    def __call__(self, epoch: int) -> float:
        if epoch < self.warmup_epochs:
            return (epoch + 1) / self.warmup_epochs
        done = min(1.0, (epoch - self.warmup_epochs) / max(1, self.epochs - self.warmup_epochs))
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done))
