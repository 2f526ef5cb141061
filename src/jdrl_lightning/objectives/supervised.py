"""Ordinary supervised training: the output against the given sharp image, pixel-wise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.errors import check_choice, check_not_negative
from jdrl_lightning.losses.charbonnier import EPS, charbonnier_loss
from jdrl_lightning.losses.edge import edge_loss
from jdrl_lightning.losses.psnr import psnr_loss
from jdrl_lightning.objectives.base import Objective, check_eps, trusted
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["Supervised"]


class Supervised(Objective):
    """Pixel-wise loss, the baseline. On misaligned pairs it teaches the network to distort.

    Where a pair's extra ``valid`` is 0, output and sharp image are both set to 0.

    Args:
        loss: ``charbonnier`` (mean of ``sqrt(d² + eps²)``), ``l1``, ``mse`` or ``psnr`` (see :func:`.psnr_loss`).
        eps: of the Charbonnier loss, in units of the image range.
        output_weights: see :class:`Objective`.
        edge_weight: weight, inside the one term, of the edge loss (MPRNet's recipe: 0.05).
        target: ``sharp``, the given image, or ``aligned``, the truth of rendered pairs: in place and without noise.
    """

    known_terms = ("pixel",)

    def __init__(
        self,
        loss: str = "charbonnier",
        eps: float = EPS,
        output_weights: Sequence[float] = (1.0,),
        edge_weight: float = 0.0,
        target: str = "sharp",
    ) -> None:
        super().__init__(Schedule.constant("pixel"), output_weights)
        check_eps(eps)
        check_not_negative("objective.edge_weight", edge_weight)
        losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "charbonnier": partial(charbonnier_loss, eps=eps),
            "l1": F.l1_loss,
            "mse": F.mse_loss,
            "psnr": psnr_loss,
        }
        check_choice("loss", loss, losses)
        check_choice("target", target, ("sharp", "aligned"))
        self.loss, self.edge_weight, self.target = losses[loss], edge_weight, target

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """One term, ``pixel``: the weighted sum over the network's outputs."""
        target, maps = pair.sharp, {}
        if self.target == "aligned":
            target = pair.extras["aligned"]
            maps = {"aligned": target}
        sharp = trusted(target, pair)
        terms = {
            "pixel": self.sum_outputs(restored.images, lambda image: self._difference(trusted(image, pair), sharp))
        }
        return Losses(self.weigh(terms, stage), terms, maps)

    def _difference(self, image: Tensor, sharp: Tensor) -> Tensor:
        loss = self.loss(image, sharp)
        return loss + self.edge_weight * edge_loss(image, sharp) if self.edge_weight else loss
