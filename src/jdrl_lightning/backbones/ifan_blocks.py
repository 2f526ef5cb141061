"""Building blocks of IFAN, its training-only head and DRBNet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ResidualBlocks", "conv", "encoder", "initialise"]

SLOPE = 0.1


def conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution and a LeakyReLU(0.1)."""
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1), nn.LeakyReLU(SLOPE, inplace=True))


def encoder(channels: Sequence[int]) -> nn.Sequential:
    """Levels of three convolutions on an image; from the second level on, the first one has stride 2."""
    return nn.Sequential(
        *(
            nn.Sequential(conv(before, after, 2 if level else 1), conv(after, after), conv(after, after))
            for level, (before, after) in enumerate(pairwise((3, *channels)))
        )
    )


class ResidualBlocks(nn.Module):
    """``n`` times ``f = lrelu(f + conv(lrelu(conv(f))))``; if n > 1, the initial ``f`` is added at the end."""

    def __init__(self, channels: int, n: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(channels, channels), nn.Conv2d(channels, channels, 3, padding=1)) for _ in range(n)
        )

    def forward(self, features: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        refined = features
        for block in self.blocks:
            refined = F.leaky_relu(refined + block(refined), SLOPE, inplace=True)
        return refined + features if len(self.blocks) > 1 else refined


def initialise(network: nn.Module, gain: float = 1.0) -> None:
    """Xavier-uniform weights times ``gain`` and zero biases, in every convolution of ``network``."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
