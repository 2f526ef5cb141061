"""Ordinary training: the output against the sharp image as it is given, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.losses.charbonnier import charbonnier_loss
from jdrl_lightning.losses.edge import edge_loss
from jdrl_lightning.objectives.base import Objective
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["Supervised"]


class Supervised(Objective):
    """Pixel-wise loss. On misaligned pairs it teaches the network to distort; the baseline JDRL is measured against.

    Args:
        loss: ``charbonnier`` (mean of ``sqrt(d² + eps²)``), ``l1`` or ``mse``.
        eps: of the Charbonnier loss, in units of the image range.
        output_weights: see :class:`Objective`.
        edge_weight: weight, inside the one term, of the edge loss (MPRNet's recipe: 0.05).
    """

    known_terms = ("pixel",)

    def __init__(
        self,
        loss: str = "charbonnier",
        eps: float = 1e-3,
        output_weights: Sequence[float] = (1.0,),
        edge_weight: float = 0.0,
    ) -> None:
        super().__init__(Schedule.constant("pixel"), output_weights)
        if not eps > 0:
            raise UserError(
                f"objective.eps={eps} is not above 0: the gradient would not be finite; set objective.eps=0.001"
            )
        losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "charbonnier": partial(charbonnier_loss, eps=eps),
            "l1": F.l1_loss,
            "mse": F.mse_loss,
        }
        check_choice("objective.loss", loss, losses)
        self.loss, self.edge_weight = losses[loss], edge_weight

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """One term, ``pixel``: the weighted sum over the network's outputs."""
        weighted = [weight * self._difference(image, pair.sharp) for weight, image in self.per_output(restored.images)]
        terms = {"pixel": sum(weighted[1:], start=weighted[0])}
        return Losses(self.weigh(terms, stage), terms, {})

    def _difference(self, image: Tensor, sharp: Tensor) -> Tensor:
        loss = self.loss(image, sharp)
        return loss + self.edge_weight * edge_loss(image, sharp) if self.edge_weight else loss
