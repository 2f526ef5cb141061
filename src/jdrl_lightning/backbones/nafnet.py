"""NAFNet: a U-shaped network without nonlinear activation functions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone, combined
from jdrl_lightning.errors import UserError

__all__ = ["LayerNorm2d", "NAFNet", "box_mean", "nafnet"]


class NAFNet(nn.Module):
    """Predicts a residual to add to its input. Its blocks start as the identity; parameters are named as published.

    Args:
        width: channels at full resolution, doubled by each downsampling.
        enc_blk_nums: blocks before each downsampling by 2.
        middle_blk_num: blocks at the lowest resolution.
        dec_blk_nums: blocks after each upsampling by 2, deepest first.
        local_pool: window of the blocks' local averages in eval mode, image pixels; see :func:`nafnet`.
        in_channels: 3; 6 for both dual-pixel views, whose mean the residual is added to.

    Source: Chen et al., "Simple Baselines for Image Restoration", ECCV 2022.
    """

    def __init__(
        self,
        width: int = 32,
        enc_blk_nums: Sequence[int] = (1, 1, 1, 28),
        middle_blk_num: int = 1,
        dec_blk_nums: Sequence[int] = (1, 1, 1, 1),
        local_pool: int | None = None,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        levels = len(enc_blk_nums)
        if len(dec_blk_nums) != levels:
            raise UserError(f"backbone.dec_blk_nums={list(dec_blk_nums)} needs {levels} numbers, like enc_blk_nums")
        if local_pool is not None and local_pool < 2**levels:
            raise UserError(
                f"backbone.local_pool={local_pool} is under a pixel at the lowest resolution; set {2**levels} or more"
            )

        def blocks(number: int, level: int) -> nn.Sequential:
            window = None if local_pool is None else local_pool >> level
            return nn.Sequential(*(_Block(width << level, window) for _ in range(number)))

        self.intro = nn.Conv2d(in_channels, width, 3, padding=1)
        self.encoders = nn.ModuleList(blocks(number, level) for level, number in enumerate(enc_blk_nums))
        self.downs = nn.ModuleList(nn.Conv2d(width << i, width << (i + 1), 2, 2) for i in range(levels))
        self.middle_blks = blocks(middle_blk_num, levels)
        deepest_first = range(levels - 1, -1, -1)
        self.ups = nn.ModuleList(_up(width << (level + 1)) for level in deepest_first)
        self.decoders = nn.ModuleList(
            blocks(number, level) for level, number in zip(deepest_first, dec_blk_nums, strict=True)
        )
        self.ending = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, in_channels, H, W)``, sides multiples of ``2 ** len(enc_blk_nums)``, to ``(B, 3, H, W)``."""
        features, skips = self.intro(blurry), []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            features = encoder(features)
            skips.append(features)
            features = down(features)
        features = self.middle_blks(features)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            features = decoder(up(features) + skips.pop())
        return combined(blurry) + self.ending(features)


class _Block(nn.Module):
    """Two residual branches scaled by ``beta`` and ``gamma``, which start at 0; gated by products of channel halves."""

    def __init__(self, channels: int, window: int | None) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(channels, eps=1e-6)
        self.conv1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.sca = nn.Sequential(_Mean(window), nn.Conv2d(channels, channels, 1))
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.norm2 = LayerNorm2d(channels, eps=1e-6)
        self.conv4 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        branch = _gate(self.conv2(self.conv1(self.norm1(features))))
        features = features + self.beta * self.conv3(branch * self.sca(branch))
        return features + self.gamma * self.conv5(_gate(self.conv4(self.norm2(features))))


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of ``(B, C, H, W)`` at each pixel, with an affine map.

    Composed of elementary operations, which all compilers and exporters support and which keep the memory layout (a
    third faster on a CPU than ``F.layer_norm`` on a permuted view). Half precision is normalised in float32.
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        wide = features.float() if features.dtype in (torch.float16, torch.bfloat16) else features
        centred = wide - wide.mean(1, keepdim=True)
        normal = centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + self.eps)
        affine = torch.addcmul(self.bias.view(-1, 1, 1), normal, self.weight.view(-1, 1, 1))
        return affine.to(features.dtype)


class _Mean(nn.Module):
    """Each channel's mean over the image, or in eval mode over a window around each pixel, if set."""

    def __init__(self, window: int | None) -> None:
        super().__init__()
        self.window = window

    def forward(self, features: Tensor) -> Tensor:
        if self.window is None or self.training:
            return features.mean((2, 3), keepdim=True)
        return box_mean(features, self.window)


def box_mean(features: Tensor, window: int) -> Tensor:
    """Mean of ``(B, C, H, W)`` over ``window`` × ``window`` pixels around each pixel.

    Where the window would exceed the image, the nearest complete mean is replicated. Along an axis on which the window
    covers the whole image, the result has size 1 and broadcasts.

    Source: Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation", ECCV 2022 (TLC).
    They use a two-dimensional integral image; one axis after the other gives the same means with smaller sums, hence
    less rounding.
    """
    for axis in (-1, -2):
        features = _sliding_mean(features, window, axis)
    return features


def _sliding_mean(features: Tensor, window: int, axis: int) -> Tensor:
    size = features.shape[axis]
    if window >= size:
        return features.mean(axis, keepdim=True)
    sums = features.float() if features.dtype in (torch.float16, torch.bfloat16) else features
    sums = F.pad(sums.cumsum(axis), (1, 0) if axis == -1 else (0, 0, 1, 0))
    whole = size - window + 1
    means = (sums.narrow(axis, window, whole) - sums.narrow(axis, 0, whole)) / window
    before, after = (window - 1) // 2, window // 2
    edges = (before, after, 0, 0) if axis == -1 else (0, 0, before, after)
    return F.pad(means, edges, mode="replicate").to(features.dtype)


def _gate(features: Tensor) -> Tensor:
    first, second = features.chunk(2, dim=1)
    return first * second


def _up(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.PixelShuffle(2))


def nafnet(
    width: int = 32,
    enc_blk_nums: Sequence[int] = (1, 1, 1, 28),
    middle_blk_num: int = 1,
    dec_blk_nums: Sequence[int] = (1, 1, 1, 1),
    local_pool: int | None = None,
    in_channels: int = 3,
) -> Backbone:
    """NAFNet as a backbone; 17,111,907 parameters at width 32, 67,888,835 at width 64.

    Other sizes are padded by reflection; the published code pads with zeros.

    Args:
        width: see :class:`NAFNet`.
        enc_blk_nums: see :class:`NAFNet`.
        middle_blk_num: see :class:`NAFNet`.
        dec_blk_nums: see :class:`NAFNet`.
        local_pool: side of a window that replaces the mean over the image in eval mode, since means over whole images
            differ from those over training crops; 1.5 × the crop's side as published (384 for 256). Images within the
            window are unaffected. None: no window.
        in_channels: see :class:`NAFNet`.
    """
    network = NAFNet(width, enc_blk_nums, middle_blk_num, dec_blk_nums, local_pool, in_channels)
    divisor, licence = 2 ** len(enc_blk_nums), "published weights: MIT"
    return Backbone(network, divisor=divisor, licence=licence, name="nafnet", block=_Block, in_channels=in_channels)
