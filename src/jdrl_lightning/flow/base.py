"""What every flow estimator is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.registry import made_from

__all__ = ["FlowEstimator", "Unavailable", "both_ways"]


class FlowEstimator:
    """Frozen and without gradient: ``estimator(first, second) -> flow`` with ``warp(second, flow) ≈ first``.

    A plain object on purpose, not an ``nn.Module``: what holds it has it neither in its checkpoint nor in DDP's
    buckets, the optimiser or an averaged copy. A subclass implements :meth:`estimate`, and moves a network that it
    holds to the device of its input there.

    Attributes:
        uses_truth: the flow is not estimated but taken from the pair's truth; calling it is a mistake.
        uses_start: has a shorter way where the flow is nearly known, :meth:`estimate_from`.
        licence: terms of code and weights, for people to read.
    """

    uses_truth = False
    uses_start = False
    licence = "Apache-2.0"

    @property
    def identity(self) -> str:
        """What tells its flow from other estimators': its class and the settings that it was made from."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__} {made_from(self)}"

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow ``(B, 2, H, W)``, float32 pixels (dx, dy), of float32 RGB images ``(B, 3, H, W)`` in [0, 1]."""
        raise NotImplementedError

    def estimate_from(self, first: Tensor, second: Tensor, start: Tensor) -> Tensor:
        """:meth:`estimate` from a flow near the one that is looked for; for estimators with ``uses_start``."""
        raise NotImplementedError

    @torch.no_grad()
    def __call__(self, first: Tensor, second: Tensor, start: Tensor | None = None) -> Tensor:
        """Flow on the grid of ``first``; images of any float type are clamped to [0, 1] first.

        Args:
            first: ``(B, 3, H, W)``.
            second: the same.
            start: ``(B, 2, H, W)``, px, a flow near the one that is looked for; no effect without ``uses_start``.

        Raises:
            ValueError: the images differ in shape.
        """
        if first.shape != second.shape or first.ndim != 4:
            shapes = f"first {tuple(first.shape)} and second {tuple(second.shape)}"
            raise ValueError(f"{shapes} must be the same (B, 3, H, W)")
        usual = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)  # Lightning sets trainer.precision's, in which networks make their grids
        try:
            with torch.autocast(first.device.type, enabled=False):
                ours, theirs = (image.detach().float().clamp(0, 1) for image in (first, second))
                if start is None or not self.uses_start:
                    flow = self.estimate(ours, theirs)
                else:
                    flow = self.estimate_from(ours, theirs, start.detach().float())
        finally:
            torch.set_default_dtype(usual)
        return flow.to(torch.promote_types(first.dtype, torch.float32))

    def __deepcopy__(self, memo: dict[int, Any]) -> FlowEstimator:
        """Itself: a frozen thing needs no second copy in a model average."""
        return self


class Unavailable(FlowEstimator):
    """Stands for an estimator that could not be made, and says why when it is called.

    Args:
        reason: one line.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        raise UserError(self.reason)


def both_ways(
    estimator: FlowEstimator,
    first: Tensor,
    second: Tensor,
    together: bool = True,
    start: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Flow from ``first`` to ``second`` and back, ``(B, 2, H, W)`` each, px.

    Args:
        estimator: of flow.
        first: ``(B, 3, H, W)`` in [0, 1].
        second: same shape.
        together: as one batch, the faster way; False: one after the other, in half the memory.
        start: flows near both, to start from.
    """
    if not together:
        return estimator(first, second), estimator(second, first)
    near = None if start is None else torch.cat(start)
    there, back = estimator(torch.cat([first, second]), torch.cat([second, first]), near).chunk(2)
    return there, back
