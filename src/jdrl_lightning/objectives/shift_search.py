"""Training that tolerates one global shift per pair: the cheapest remedy for misalignment."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.losses.charbonnier import EPS
from jdrl_lightning.losses.shift_search import shift_search_loss
from jdrl_lightning.objectives.base import Objective, check_eps, trusted
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["ShiftSearch"]


class ShiftSearch(Objective):
    """The smallest Charbonnier loss over integer shifts of each sharp crop; a baseline without flow.

    Args:
        reach_px: largest shift in each direction, whole pixels; the loss excludes a border of this width.
        eps: of the Charbonnier loss, in units of the image range.
        output_weights: see :class:`Objective`.

    Raises:
        UserError: ``reach_px`` is not a whole number of at least 0.
    """

    known_terms = ("pixel",)

    def __init__(self, reach_px: int = 6, eps: float = EPS, output_weights: Sequence[float] = (1.0,)) -> None:
        super().__init__(Schedule.constant("pixel"), output_weights)
        if not isinstance(reach_px, int) or reach_px < 0:
            raise UserError(
                f"objective.reach_px={reach_px!r} is not a whole number of pixels; give objective.reach_px=6"
            )
        check_eps(eps)
        self.reach_px, self.eps = reach_px, eps

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """One term, ``pixel``: the weighted sum over the network's outputs, each with its own best shifts."""
        if min(pair.sharp.shape[-2:]) <= 2 * self.reach_px:
            least = 2 * self.reach_px + 1
            raise UserError(f"objective.reach_px={self.reach_px} needs crops of {least} px; raise data.crop")

        sharp = trusted(pair.sharp, pair)

        def loss(image: Tensor) -> Tensor:
            return shift_search_loss(trusted(image, pair), sharp, self.reach_px, self.eps)

        terms = {"pixel": self.sum_outputs(restored.images, loss)}
        return Losses(self.weigh(terms, stage), terms, {})
