"""Training by the contextual loss, which compares features wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.losses.contextual import contextual_loss, patches
from jdrl_lightning.losses.vgg import VggFeatures
from jdrl_lightning.objectives.base import Objective
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["Contextual"]


class Contextual(Objective):
    """The contextual loss of Mechrez et al. (ECCV 2018), made for misaligned pairs; a baseline without flow.

    Args:
        weights: file of torchvision's VGG19 weights, whose features are compared. None compares patches of 5×5 pixels
            instead, which needs no file but is not what the authors did.
        bandwidth: ``h`` of the loss.
        output_weights: see :class:`Objective`.

    Raises:
        UserError: no such file, or a bandwidth that is not above 0.
    """

    known_terms = ("contextual",)

    def __init__(
        self, weights: str | None = None, bandwidth: float = 0.5, output_weights: Sequence[float] = (1.0,)
    ) -> None:
        super().__init__(Schedule.constant("contextual"), output_weights)
        if not bandwidth > 0:
            raise UserError(f"objective.bandwidth={bandwidth} is not above 0; set objective.bandwidth=0.5")
        self.bandwidth = bandwidth
        self.features: Callable[[Tensor], Tensor] = VggFeatures(weights) if weights else patches

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """One term, ``contextual``: the weighted sum over the network's outputs."""
        target = self.features(pair.sharp)

        def loss(image: Tensor) -> Tensor:
            return contextual_loss(self.features(image), target, self.bandwidth)

        terms = {"contextual": self.sum_outputs(restored.images, loss)}
        return Losses(self.weigh(terms, stage), terms, {})
