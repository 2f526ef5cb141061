"""Learning-rate factors as pure functions of time in epochs: 2.25 is a quarter into the third."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jdrl_lightning.errors import UserError

__all__ = ["Constant", "Cosine", "Milestones", "StepDecay"]


@dataclass(frozen=True)
class Constant:
    """1: the rate is held."""

    def __call__(self, epoch: float) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """``gamma ** (epoch // every)``; the paper halves every 60 epochs."""

    every: int = 60
    gamma: float = 0.5

    def __call__(self, epoch: float) -> float:
        return self.gamma ** (epoch // self.every)


@dataclass(frozen=True)
class Milestones:
    """``gamma`` for each milestone that has passed; ``at`` says where they are, as shares of ``epochs``."""

    epochs: int
    at: Sequence[float]
    gamma: float = 0.5

    def __post_init__(self) -> None:
        _check(self.epochs)

    def __call__(self, epoch: float) -> float:
        return self.gamma ** sum(epoch >= share * self.epochs for share in self.at)


@dataclass(frozen=True)
class Cosine:
    """Linear from ``floor`` to 1 over the first epochs, then half a cosine back to ``floor`` at ``epochs``."""

    epochs: int
    warmup_epochs: int = 0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _check(self.epochs)

    def __call__(self, epoch: float) -> float:
        if epoch < self.warmup_epochs:
            share = epoch / self.warmup_epochs
        else:
            done = min(1.0, (epoch - self.warmup_epochs) / max(1, self.epochs - self.warmup_epochs))
            share = 0.5 * (1 + math.cos(math.pi * done))
        return self.floor + (1 - self.floor) * share


def _check(epochs: int) -> None:
    """Refuse a schedule over no known number of epochs."""
    if not isinstance(epochs, int) or epochs < 1:
        raise UserError(
            f"epochs={epochs}: this schedule ends with the training; set trainer.max_epochs, or optim=paper"
        )
