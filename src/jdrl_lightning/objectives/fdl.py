"""Training by the frequency distribution loss, which compares distributions and needs no alignment."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from jdrl_lightning.errors import UserError, check_not_negative
from jdrl_lightning.losses.frequency import frequency_distribution_loss, random_projections
from jdrl_lightning.losses.vgg import CHANNELS, VggFeatures
from jdrl_lightning.objectives.base import Objective, trusted
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["FrequencyDistribution"]


class FrequencyDistribution(Objective):
    """The frequency distribution loss of Ni et al. (CVPR 2024); a baseline without flow.

    Args:
        weights: file of torchvision's VGG19 weights: the sum over the last maps of its five blocks (which layers is our
            choice). None compares the images themselves, which needs no file but is not what the authors did.
        projections: number of random projections of 5×5 patches.
        phase_weight: λ, weight of the phases, per radian.
        output_weights: see :class:`Objective`.

    Raises:
        UserError: no such file, no projections, or a negative weight.
    """

    known_terms = ("frequency",)

    def __init__(
        self,
        weights: str | None = None,
        projections: int = 256,
        phase_weight: float = 1.0,
        output_weights: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__(Schedule.constant("frequency"), output_weights)
        if not isinstance(projections, int) or projections < 1:
            raise UserError(f"objective.projections={projections!r} is not a whole number of at least 1")
        self.features = VggFeatures(weights, len(CHANNELS)) if weights else None
        check_not_negative("objective.phase_weight", phase_weight)
        self.phase_weight = phase_weight
        channels = CHANNELS if weights else (3,)
        for level, count in enumerate(channels):  # always the same, so no checkpoint needs them
            self.register_buffer(f"projections_{level}", random_projections(count, projections), persistent=False)

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """One term, ``frequency``: the weighted sum over the network's outputs."""
        targets = self._levels(trusted(pair.sharp, pair))
        directions = list(self.buffers())

        def loss(image: Tensor) -> Tensor:
            levels = zip(self._levels(trusted(image, pair)), targets, directions, strict=True)
            return sum(
                (frequency_distribution_loss(ours, theirs, along, self.phase_weight) for ours, theirs, along in levels),
                start=image.new_zeros(()),
            )

        terms = {"frequency": self.sum_outputs(restored.images, loss)}
        return Losses(self.weigh(terms, stage), terms, {})

    def _levels(self, image: Tensor) -> list[Tensor]:
        return [image] if self.features is None else self.features.maps(image)
