"""The plain residual block of GKMNet and of the blur map's estimator."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ResidualBlock"]


class ResidualBlock(nn.Module):
    """Adds convolution, ReLU, convolution: 3×3, without normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        changed: Tensor = self.second(F.relu(self.first(features)))
        return features + changed
