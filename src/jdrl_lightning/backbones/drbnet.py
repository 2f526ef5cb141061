"""DRBNet: filters and corrects the image with per-pixel kernels at four resolutions, coarse to fine."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.adaptive import dynamic_filter
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.ifan_blocks import conv, encoder
from jdrl_lightning.errors import UserError

__all__ = ["DRBNet", "drbnet"]

KERNEL = 7  # px, side of the predicted kernels


class DRBNet(nn.Module):
    """The single-image variant: IFAN's encoder, a decoder, and a dynamic residual block at 1/8, 1/4, 1/2 and 1.

    A LeakyReLU(0.1) follows every convolution except the last of a residual block and the one that predicts the
    kernels. The residual itself passes one, so that it can lower values only with a tenth of the slope (as published).
    The published network clips its output in training too, which stops the gradient; here only :class:`Backbone` clips.

    The names are ours. **The wiring and width of a block's heads are our choice**, since the description leaves them
    open. It gives the published number of parameters, but is not the published design, which takes 44.3 G multiply-adds
    for 256×256 pixels where ours takes 33.0 G. Published weights do not fit.

    Args:
        width: channels at full resolution, even; 2, 4 and 8 times as many at the lower ones.

    Source: Ruan et al., "Learning to Deblur using Light Field Generated and Real Defocus Images", CVPR 2022.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise UserError(f"backbone.width={width} must be an even number")
        deep = 8 * width
        self.encoder = encoder((width, 2 * width, 4 * width, deep))
        self.middle = nn.Sequential(conv(deep, deep), _ResidualBlock(deep), _ResidualBlock(deep), conv(deep, deep))
        self.up = nn.ModuleList([_Up(deep // 2**level) for level in range(3)])
        self.refine = nn.ModuleList([_DynamicResidual(deep // 2**level) for level in range(4)])

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, 3, H, W)``, values in [−1, 1], height and width multiples of 8, to the same shape."""
        skips = [blurry]
        for level in self.encoder:
            skips.append(level(skips[-1]))
        features = self.middle(skips.pop())
        estimate = self.refine[0](F.avg_pool2d(blurry, 8), features)
        for up, refine in zip(self.up, self.refine[1:], strict=True):
            features = up(features, skips.pop())
            estimate = refine(F.interpolate(estimate, scale_factor=2.0, mode="nearest"), features)
        return estimate


class _ResidualBlock(nn.Module):
    """Two convolutions and a skip; unlike IFAN's, no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.body(features)


class _Up(nn.Module):
    """Upsampling by 2 with half the channels, plus the encoder's features, and two residual blocks."""

    def __init__(self, before: int) -> None:
        super().__init__()
        after = before // 2
        self.larger = nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1), nn.LeakyReLU(0.1, inplace=True))
        self.refine = nn.Sequential(_ResidualBlock(after), _ResidualBlock(after))

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        return self.refine(self.larger(features) + skip)


class _DynamicResidual(nn.Module):
    """``image + filtered image + residual``; kernels and residual come from the decoder's and the image's features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.look = nn.Sequential(conv(3, channels), conv(channels, channels), conv(channels, channels))
        self.join = nn.Sequential(conv(2 * channels, channels), conv(channels, half))
        self.kernels = nn.Conv2d(half, KERNEL**2, 1)
        self.residual = nn.Sequential(
            conv(half, channels),
            conv(channels, channels),
            nn.Conv2d(channels, 3, 1),
            nn.LeakyReLU(0.1, inplace=True),
        )

    def forward(self, image: Tensor, features: Tensor) -> Tensor:
        joined = self.join(torch.cat([self.look(image), features], dim=1))
        return image + dynamic_filter(image, self.kernels(joined)) + self.residual(joined)


def drbnet(width: int = 32) -> Backbone:
    """DRBNet as a backbone; 11,689,616 parameters at the published width. Only the full-resolution image is returned.

    Args:
        width: see :class:`DRBNet`.
    """
    licence = "the published weights are under AGPL-3.0"
    return Backbone(DRBNet(width), divisor=8, licence=licence, value_range=(-1.0, 1.0), name="drbnet")
