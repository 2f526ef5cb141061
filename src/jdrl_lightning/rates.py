"""Learning-rate factors as pure functions of the time in epochs: 2.25 is a quarter into the third epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jdrl_lightning.errors import UserError

__all__ = ["Constant", "Cosine", "Milestones", "StepDecay"]


@dataclass(frozen=True)
class Constant:
    """A constant factor of 1."""

    def __call__(self, epoch: float) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """``gamma ** (epoch // every)``; the paper halves the rate every 60 epochs."""

    every: int = 60
    gamma: float = 0.5

    def __call__(self, epoch: float) -> float:
        return self.gamma ** (epoch // self.every)


@dataclass(frozen=True)
class Milestones:
    """A factor ``gamma`` for each milestone passed; ``at`` are their positions as fractions of ``epochs``."""

    epochs: int
    at: Sequence[float]
    gamma: float = 0.5

    def __post_init__(self) -> None:
        _check(self.epochs)

    def __call__(self, epoch: float) -> float:
        return self.gamma ** sum(epoch >= fraction * self.epochs for fraction in self.at)


@dataclass(frozen=True)
class Cosine:
    """Linear warm-up from ``floor`` to 1, 1 until the fraction ``hold`` of ``epochs``, then half a cosine back."""

    epochs: int
    warmup_epochs: int = 0
    floor: float = 0.0
    hold: float = 0.0

    def __post_init__(self) -> None:
        _check(self.epochs)

    def __call__(self, epoch: float) -> float:
        if epoch < self.warmup_epochs:
            height = epoch / self.warmup_epochs
        else:
            start = max(self.warmup_epochs, self.hold * self.epochs)
            done = min(1.0, max(0.0, epoch - start) / max(1, self.epochs - start))
            height = 0.5 * (1 + math.cos(math.pi * done))
        return self.floor + (1 - self.floor) * height


def _check(epochs: int) -> None:
    """Check that the number of epochs is known."""
    if not isinstance(epochs, int) or epochs < 1:
        raise UserError(
            f"epochs={epochs}: this schedule needs the number of epochs; set trainer.max_epochs, or optim=paper"
        )
