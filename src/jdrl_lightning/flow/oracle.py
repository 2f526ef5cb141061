"""Two estimators that look at nothing: the truth, and no motion."""

from __future__ import annotations

import torch
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.base import FlowEstimator

__all__ = ["Oracle", "Zero"]


class Oracle(FlowEstimator):
    """Stands for the pair's true flow, which the objective takes from ``pair.extras["flow"]``: an upper bound."""

    uses_truth = True

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        raise UserError("flow=oracle cannot look at images: it is the true flow of pairs whose extras hold 'flow'")


class Zero(FlowEstimator):
    """No motion anywhere."""

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.zeros_like(first[:, :2])
