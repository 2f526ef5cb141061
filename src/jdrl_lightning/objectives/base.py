"""The contract of objectives: restored images and a pair in, named losses out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from jdrl_lightning.errors import UserError, check_not_negative
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.losses.charbonnier import EPS
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["Objective", "check_eps", "trusted"]


class Objective(nn.Module):
    """A training objective; it owns the networks that only training needs.

    Args:
        schedule: its stages.
        output_weights: factor of each output of a network with several (final output first); further outputs get the
            last weight.
    """

    def __init__(self, schedule: Schedule, output_weights: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        unknown = schedule.terms - set(self.known_terms)
        if unknown:
            raise UserError(
                f"{type(self).__name__} has no loss term {sorted(unknown)}; it has {list(self.known_terms)}"
            )
        if not output_weights:
            raise UserError("output_weights is empty: give at least the final output's weight")
        for weight in output_weights:
            check_not_negative("objective.output_weights: a weight", weight)
        self.schedule = schedule
        # Maps that it needs from the backbone's aux, by name, and their channels.
        self.wanted_aux: dict[str, int] = {}
        self.output_weights = tuple(float(w) for w in output_weights)
        # A perceptual.Perceptual if created with a perceptual_weight.
        self.perceptual: Callable[[Objective, Losses, Restored, Pair, Stage], Losses] | None = None

    known_terms: tuple[str, ...] = ()

    def __call__(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """:meth:`forward`, and the perceptual term if there is one."""
        own = {name: weight for name, weight in stage.weights.items() if name != "perceptual"}
        losses: Losses = super().__call__(restored, pair, replace(stage, weights=own))
        return losses if self.perceptual is None else self.perceptual(self, losses, restored, pair, stage)

    @property
    def picture_flow(self) -> FlowEstimator | None:
        """Estimator that measures once the flow that pairs carry as ``there`` and ``back``; None: not needed."""
        return None

    @property
    def picture_radius(self) -> Callable[[Pair, Tensor, Tensor], Tensor] | None:
        """Measures once the blur that pairs carry as ``radius``, of a whole pair and its flow both ways; None: not
        needed."""
        return None

    def checkpoint_activations(self) -> bool:
        """Make its own networks store less for the backward pass; returns whether it has any."""
        return False

    @property
    def find_unused_parameters(self) -> bool:
        """Whether some stage leaves a trained part without gradient, which DDP must know."""
        return any(stage.frozen for stage in self.schedule.stages)

    def guide_strength(self, epoch: int) -> float:
        """Factor on the map of :class:`.Guided` where it guides, in an epoch counted from 0."""
        return 1.0

    def prepare(self, pair: Pair, stage: Stage) -> Pair:
        """The pair that a training step uses in the place of ``pair``, before the backbone; by default itself."""
        return pair

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """The losses of a batch; ``restored`` and ``pair`` are float RGB in [0, 1], ``restored`` not clamped."""
        raise NotImplementedError

    def sum_outputs(self, images: Sequence[Tensor], loss: Callable[[Tensor], Tensor]) -> Tensor:
        """``Σ output_weights[i] · loss(images[i])`` over a network's outputs, final output first: a scalar."""
        last = len(self.output_weights) - 1
        losses = [self.output_weights[min(i, last)] * loss(image) for i, image in enumerate(images)]
        return sum(losses[1:], start=losses[0])

    @staticmethod
    def weigh(terms: Mapping[str, Tensor], stage: Stage) -> Tensor:
        """``Σ stage.weights[k] · terms[k]``."""
        return sum(
            (weight * terms[name] for name, weight in stage.weights.items()), start=next(iter(terms.values())) * 0
        )


def trusted(image: Tensor, pair: Pair) -> Tensor:
    """``image`` ``(B, C, H, W)`` with zeros where the pair's extra ``valid`` is 0; without that as it is."""
    return image * pair.extras["valid"] if "valid" in pair.extras else image


def check_eps(eps: float) -> None:
    """Refuse an ε of the Charbonnier loss that is not above 0.

    Raises:
        UserError: names ``objective.eps`` and the default.
    """
    if not eps > 0:
        raise UserError(
            f"objective.eps={eps} is not above 0: the gradient would not be finite; set objective.eps={EPS}"
        )
