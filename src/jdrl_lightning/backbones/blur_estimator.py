"""The published estimator of a blur map from the blurry image alone."""

from __future__ import annotations

from torch import nn

from jdrl_lightning.backbones.residual_block import ResidualBlock

__all__ = ["BlurEstimator"]

BIAS = 0.1  # of all layers


class BlurEstimator(nn.Sequential):
    """Convolution, three residual blocks, convolution: ``(B, 3, H, W)`` to ``(B, channels, H, W)``, any values.

    Args:
        channels: of the map.
        width: feature channels.

    Source: Ren et al., arXiv 2409.17792.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            nn.Conv2d(3, width, 3, padding=1),
            *(ResidualBlock(width) for _ in range(3)),
            nn.Conv2d(width, channels, 3, padding=1),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                assert layer.bias is not None
                nn.init.constant_(layer.bias, BIAS)
