"""MPRNet: three stages on quarters, halves and the whole image, each refining the previous one."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.mprnet_blocks import (
    AttentionBlock,
    Decoder,
    Encoder,
    FullResolution,
    Group,
    SupervisedAttention,
    conv,
    join,
    join_levels,
    split,
)
from jdrl_lightning.errors import UserError

__all__ = ["MPRNet", "mprnet"]


class MPRNet(nn.Module):
    """Two encoder-decoders and a network at full resolution; every stage predicts a residual to add to its input.

    The four quarters of the image, and then the two halves, are processed as one batch: no layer mixes samples. As
    published, all channel-attention blocks share a single PReLU with one parameter, which has a key in the state dict
    for each use. No biases; parameters are named as in the published weights.

    Args:
        n_feat: channels at full resolution.
        scale_unetfeats: channels added at each lower resolution of the encoder-decoders.
        scale_orsnetfeats: channels of the last stage in addition to ``n_feat``.
        num_cab: channel-attention blocks in each of the last stage's three groups.
        kernel_size: of the convolutions, pixels, odd.
        reduction: channel reduction inside the attention, at most ``n_feat``.

    Source: Zamir et al., "Multi-Stage Progressive Image Restoration", CVPR 2021.
    """

    def __init__(
        self,
        n_feat: int = 96,
        scale_unetfeats: int = 48,
        scale_orsnetfeats: int = 32,
        num_cab: int = 8,
        kernel_size: int = 3,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise UserError(f"backbone.kernel_size={kernel_size} must be odd")
        if not 1 <= reduction <= n_feat:
            raise UserError(f"backbone.reduction={reduction} must be from 1 to n_feat={n_feat}")
        widths = (n_feat, n_feat + scale_unetfeats, n_feat + 2 * scale_unetfeats)
        last = n_feat + scale_orsnetfeats
        convolution = partial(conv, kernel_size=kernel_size)
        block = partial(AttentionBlock, activation=nn.PReLU(), kernel_size=kernel_size, reduction=reduction)
        self.shallow_feat1, self.shallow_feat2, self.shallow_feat3 = (
            nn.Sequential(convolution(3, n_feat), block(n_feat)) for _ in range(3)
        )
        self.stage1_encoder, self.stage1_decoder = Encoder(widths, block, feedback=False), Decoder(widths, block)
        self.stage2_encoder, self.stage2_decoder = Encoder(widths, block, feedback=True), Decoder(widths, block)
        groups = [Group(*(block(last) for _ in range(num_cab)), convolution(last, last)) for _ in range(3)]
        self.stage3_orsnet = FullResolution(widths, last, groups)
        self.sam12, self.sam23 = SupervisedAttention(n_feat), SupervisedAttention(n_feat)
        self.concat12, self.concat23 = convolution(2 * n_feat, n_feat), convolution(2 * n_feat, last)
        self.tail = convolution(last, 3)

    def forward(self, blurry: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, 3, H, W)``, height and width multiples of 8, to the outputs of stages 3, 2 and 1 in the same shape."""
        halves = split(blurry, -2)
        encoded1 = join_levels(self.stage1_encoder(self.shallow_feat1(split(halves, -1))), -1)
        decoded1 = self.stage1_decoder(encoded1)
        features, restored1 = self.sam12(decoded1[0], halves)

        features = self.concat12(torch.cat([self.shallow_feat2(halves), features], dim=1))
        encoded2 = join_levels(self.stage2_encoder(features, encoded1, decoded1), -2)
        decoded2 = self.stage2_decoder(encoded2)
        features, restored2 = self.sam23(decoded2[0], blurry)

        features = self.concat23(torch.cat([self.shallow_feat3(blurry), features], dim=1))
        features = self.stage3_orsnet(features, encoded2, decoded2)
        return blurry + self.tail(features), restored2, join(restored1, -2)


def mprnet(
    n_feat: int = 96,
    scale_unetfeats: int = 48,
    scale_orsnetfeats: int = 32,
    num_cab: int = 8,
    kernel_size: int = 3,
    reduction: int = 4,
) -> Backbone:
    """MPRNet as a backbone; 20,127,073 parameters at the size published for deblurring.

    Args:
        n_feat: see :class:`MPRNet`.
        scale_unetfeats: see :class:`MPRNet`.
        scale_orsnetfeats: see :class:`MPRNet`.
        num_cab: see :class:`MPRNet`.
        kernel_size: see :class:`MPRNet`.
        reduction: see :class:`MPRNet`.
    """
    network = MPRNet(n_feat, scale_unetfeats, scale_orsnetfeats, num_cab, kernel_size, reduction)
    licence = "published weights: Academic Public Licence, for non-commercial use only"
    return Backbone(network, divisor=8, licence=licence, name="mprnet", block=AttentionBlock)
