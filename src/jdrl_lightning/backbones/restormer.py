"""Restormer: a U-shaped transformer with attention between channels, so its cost is linear in the pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.nafnet import LayerNorm2d
from jdrl_lightning.errors import UserError

__all__ = ["Restormer", "restormer"]


class Restormer(nn.Module):
    """Predicts a residual to add to its input. Only the norms have biases; parameters are named as published.

    For both dual-pixel views it predicts the image itself, out of the refined features and a 1×1 convolution of the
    first ones: as published, no view is added.

    Args:
        dim: channels at full resolution, doubled at each of the three lower ones.
        num_blocks: transformer blocks at each of the four resolutions, finest first.
        num_refinement_blocks: blocks after the decoder, at full resolution with ``2 * dim`` channels.
        heads: attention heads at each of the four resolutions.
        ffn_expansion_factor: hidden channels of the feed-forward parts, relative to their outer channels.
        in_channels: 3; 6 for both dual-pixel views.

    Source: Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022.
    """

    def __init__(
        self,
        dim: int = 48,
        num_blocks: Sequence[int] = (4, 6, 6, 8),
        num_refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        ffn_expansion_factor: float = 2.66,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(num_blocks) != 4 or len(heads) != 4:
            raise UserError("backbone.num_blocks and backbone.heads need four numbers each, finest resolution first")
        if dim % 2 or any((dim << level) % n for level, n in enumerate(heads)):
            raise UserError(f"backbone.dim={dim} must be even, and its 1, 2, 4, 8 times multiples of {list(heads)}")

        def blocks(number: int, channels: int, level: int) -> nn.Sequential:
            return nn.Sequential(*(_Block(channels, heads[level], ffn_expansion_factor) for _ in range(number)))

        self.patch_embed = _Named(proj=_conv3(in_channels, dim))
        self.encoder_level1 = blocks(num_blocks[0], dim, 0)
        self.down1_2 = _down(dim)
        self.encoder_level2 = blocks(num_blocks[1], 2 * dim, 1)
        self.down2_3 = _down(2 * dim)
        self.encoder_level3 = blocks(num_blocks[2], 4 * dim, 2)
        self.down3_4 = _down(4 * dim)
        self.latent = blocks(num_blocks[3], 8 * dim, 3)
        self.up4_3 = _up(8 * dim)
        self.reduce_chan_level3 = _conv1(8 * dim, 4 * dim)
        self.decoder_level3 = blocks(num_blocks[2], 4 * dim, 2)
        self.up3_2 = _up(4 * dim)
        self.reduce_chan_level2 = _conv1(4 * dim, 2 * dim)
        self.decoder_level2 = blocks(num_blocks[1], 2 * dim, 1)
        self.up2_1 = _up(2 * dim)
        self.decoder_level1 = blocks(num_blocks[0], 2 * dim, 0)  # without reduction: twice the encoder's channels
        self.refinement = blocks(num_refinement_blocks, 2 * dim, 0)
        self.skip_conv = _conv1(dim, 2 * dim) if in_channels == 6 else None
        self.output = _conv3(2 * dim, 3)

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, in_channels, H, W)``, height and width multiples of 8, to ``(B, 3, H, W)``."""
        embedded = self.patch_embed(blurry)
        level1 = self.encoder_level1(embedded)
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        features = self.up4_3(self.latent(self.down3_4(level3)))
        features = self.decoder_level3(self.reduce_chan_level3(torch.cat([features, level3], dim=1)))
        features = self.up3_2(features)
        features = self.decoder_level2(self.reduce_chan_level2(torch.cat([features, level2], dim=1)))
        features = self.decoder_level1(torch.cat([self.up2_1(features), level1], dim=1))
        features = self.refinement(features)
        if self.skip_conv is not None:
            restored: Tensor = self.output(features + self.skip_conv(embedded))
            return restored
        return blurry + self.output(features)


class _Block(nn.Module):
    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = _Named(body=LayerNorm2d(channels, eps=1e-5))
        self.attn = _Attention(channels, heads)
        self.norm2 = _Named(body=LayerNorm2d(channels, eps=1e-5))
        self.ffn = _FeedForward(channels, int(channels * expansion))

    def forward(self, features: Tensor) -> Tensor:
        features = features + self.attn(self.norm1(features))
        return features + self.ffn(self.norm2(features))


class _Attention(nn.Module):
    """``softmax(t · q kᵀ) v`` per head; q and k have ``C / heads`` rows of ``H · W`` values, normalised to length 1."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = _conv1(channels, 3 * channels)
        self.qkv_dwconv = _depthwise(3 * channels)
        self.project_out = _conv1(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        batch, channels, height, width = features.shape
        rows = self.qkv_dwconv(self.qkv(features)).reshape(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = rows.unbind(1)
        # Normalised before the product: in half precision a sum over all pixels would overflow.
        similarity = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        mixed = (similarity * self.temperature).softmax(-1) @ value
        return self.project_out(mixed.reshape(batch, channels, height, width))


class _FeedForward(nn.Module):
    """Two branches of ``hidden`` channels, one gating the other with GELU."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.project_in = _conv1(channels, 2 * hidden)
        self.dwconv = _depthwise(2 * hidden)
        self.project_out = _conv1(hidden, channels)

    def forward(self, features: Tensor) -> Tensor:
        gate, branch = self.dwconv(self.project_in(features)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * branch)


class _Named(nn.Sequential):
    """Nests layers one name deeper, as in the published weights."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


def _conv1(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 1, bias=False)


def _conv3(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, bias=False)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


def _down(channels: int) -> nn.Sequential:
    return _Named(body=nn.Sequential(_conv3(channels, channels // 2), nn.PixelUnshuffle(2)))


def _up(channels: int) -> nn.Sequential:
    return _Named(body=nn.Sequential(_conv3(channels, 2 * channels), nn.PixelShuffle(2)))


def restormer(
    dim: int = 48,
    num_blocks: Sequence[int] = (4, 6, 6, 8),
    num_refinement_blocks: int = 4,
    heads: Sequence[int] = (1, 2, 4, 8),
    ffn_expansion_factor: float = 2.66,
    in_channels: int = 3,
) -> Backbone:
    """Restormer as a backbone; 26,126,644 parameters at the published size, 26,132,548 for both dual-pixel views.

    Args:
        dim: see :class:`Restormer`.
        num_blocks: see :class:`Restormer`.
        num_refinement_blocks: see :class:`Restormer`.
        heads: see :class:`Restormer`.
        ffn_expansion_factor: see :class:`Restormer`.
        in_channels: see :class:`Restormer`.
    """
    network = Restormer(dim, num_blocks, num_refinement_blocks, heads, ffn_expansion_factor, in_channels)
    licence = "published weights: Academic Public Licence, for non-commercial use only"
    return Backbone(network, divisor=8, licence=licence, name="restormer", block=_Block, in_channels=in_channels)
