"""Training by the contextual loss, which compares features wherever they are, or by its bilateral form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from jdrl_lightning.errors import UserError, check_not_negative
from jdrl_lightning.losses.charbonnier import charbonnier_loss
from jdrl_lightning.losses.contextual import PATCH, STEP, contextual_loss, displacement, patches
from jdrl_lightning.losses.vgg import VggFeatures
from jdrl_lightning.objectives.base import Objective, trusted
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["Contextual"]


class Contextual(Objective):
    """The contextual loss of Mechrez et al. (ECCV 2018), made for misaligned pairs; a baseline without flow.

    With a ``spatial_weight`` it is the contextual bilateral loss of Zhang et al. (CVPR 2019), ``objective=cobi``:
    features that lie farther apart are less alike. Alone it ripples, hence the anchor.

    Args:
        weights: file of torchvision's VGG19 weights, whose features are compared. None compares patches of 5×5 pixels
            instead, which needs no file but is not what the authors did.
        bandwidth: ``h`` of the loss.
        spatial_weight: how much a distance of one px adds to the cosine distance of two features.
        anchor: weight of a pixel-wise Charbonnier loss, term ``pixel``.
        output_weights: see :class:`Objective`.

    Raises:
        UserError: no such file, a bandwidth that is not above 0, or a negative weight.
    """

    known_terms = ("contextual", "pixel")

    def __init__(
        self,
        weights: str | None = None,
        bandwidth: float = 0.5,
        spatial_weight: float = 0.0,
        anchor: float = 0.0,
        output_weights: Sequence[float] = (1.0,),
    ) -> None:
        check_not_negative("objective.spatial_weight", spatial_weight)
        check_not_negative("objective.anchor", anchor)
        stage = Stage("supervised", 0, "none", {"contextual": 1.0, "pixel": anchor})
        super().__init__(Schedule((stage,)), output_weights)
        if not bandwidth > 0:
            raise UserError(f"objective.bandwidth={bandwidth} is not above 0; set objective.bandwidth=0.5")
        self.bandwidth, self.spatial_weight = bandwidth, spatial_weight
        self.features: Callable[[Tensor], Tensor] = VggFeatures(weights) if weights else patches

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """``contextual`` and with an anchor ``pixel``: the weighted sums over the network's outputs."""
        sharp = trusted(pair.sharp, pair)
        target = self.features(sharp)
        penalty = self._penalty(target, *pair.sharp.shape[-2:]) if self.spatial_weight else None

        def loss(image: Tensor) -> Tensor:
            return contextual_loss(self.features(trusted(image, pair)), target, self.bandwidth, penalty)

        terms = {"contextual": self.sum_outputs(restored.images, loss)}
        if "pixel" in stage.weights:
            terms["pixel"] = self.sum_outputs(
                restored.images, lambda image: charbonnier_loss(trusted(image, pair), sharp)
            )
        return Losses(self.weigh(terms, stage), terms, {})

    def _penalty(self, features: Tensor, height: int, width: int) -> Tensor:
        last = PATCH if self.features is patches else STEP  # px that the last feature needs
        rows, columns = ((side - last) // STEP + 1 for side in (height, width))
        return self.spatial_weight * displacement(rows, columns, features)
