"""MPRNet: three stages, on quarters, halves and the whole image, each restoring what the one before left."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError

__all__ = ["MPRNet", "mprnet"]

Levels = tuple[Tensor, Tensor, Tensor]  # features at full, half and quarter resolution
Block = Callable[[int], nn.Module]  # channels -> a channel-attention block


class MPRNet(nn.Module):
    """Two encoder-decoders and a network at full resolution; every stage predicts what to add to its input.

    The four quarters of the image, and later the two halves, pass as one batch: no layer looks across samples. As
    published, all channel-attention blocks share ONE PReLU with one parameter; the state dict has a key for each of its
    places. No biases; parameters are named as in the published weights.

    Args:
        n_feat: channels at full resolution.
        scale_unetfeats: channels that each lower resolution of the encoder-decoders adds.
        scale_orsnetfeats: channels that the last stage adds to ``n_feat``.
        num_cab: channel-attention blocks in each of the last stage's three groups.
        kernel_size: of the convolutions, pixels, odd.
        reduction: factor by which a channel attention narrows the channels, at most ``n_feat``.

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
        conv = partial(_conv, kernel_size=kernel_size)
        block = partial(_AttentionBlock, activation=nn.PReLU(), kernel_size=kernel_size, reduction=reduction)
        self.shallow_feat1, self.shallow_feat2, self.shallow_feat3 = (
            nn.Sequential(conv(3, n_feat), block(n_feat)) for _ in range(3)
        )
        self.stage1_encoder, self.stage1_decoder = _Encoder(widths, block, feedback=False), _Decoder(widths, block)
        self.stage2_encoder, self.stage2_decoder = _Encoder(widths, block, feedback=True), _Decoder(widths, block)
        groups = [_Group(*(block(last) for _ in range(num_cab)), conv(last, last)) for _ in range(3)]
        self.stage3_orsnet = _FullResolution(widths, last, groups)
        self.sam12, self.sam23 = _SupervisedAttention(n_feat), _SupervisedAttention(n_feat)
        self.concat12, self.concat23 = conv(2 * n_feat, n_feat), conv(2 * n_feat, last)
        self.tail = conv(last, 3)

    def forward(self, blurry: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, 3, H, W)``, height and width multiples of 8, to the outputs of stage 3, 2 and 1 in the same shape."""
        halves = _split(blurry, -2)
        encoded1 = _join_levels(self.stage1_encoder(self.shallow_feat1(_split(halves, -1))), -1)
        decoded1 = self.stage1_decoder(encoded1)
        features, restored1 = self.sam12(decoded1[0], halves)

        features = self.concat12(torch.cat([self.shallow_feat2(halves), features], dim=1))
        encoded2 = _join_levels(self.stage2_encoder(features, encoded1, decoded1), -2)
        decoded2 = self.stage2_decoder(encoded2)
        features, restored2 = self.sam23(decoded2[0], blurry)

        features = self.concat23(torch.cat([self.shallow_feat3(blurry), features], dim=1))
        features = self.stage3_orsnet(features, encoded2, decoded2)
        return blurry + self.tail(features), restored2, _join(restored1, -2)


class _AttentionBlock(nn.Module):
    """Two convolutions, then a channel attention; adds the result to its input."""

    def __init__(self, channels: int, activation: nn.Module, kernel_size: int, reduction: int) -> None:
        super().__init__()
        first, second = (_conv(channels, channels, kernel_size) for _ in range(2))
        self.body = nn.Sequential(first, activation, second)
        self.CA = _ChannelAttention(channels, reduction)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.CA(self.body(features))


class _ChannelAttention(nn.Module):
    """Scales each channel by a number that depends on the means of all channels."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        narrow = channels // reduction
        self.conv_du = nn.Sequential(
            _conv(channels, narrow), nn.ReLU(inplace=True), _conv(narrow, channels), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        return features * self.conv_du(features.mean((2, 3), keepdim=True))


class _SupervisedAttention(nn.Module):
    """Restores an image, and weights the features by what that image shows: ``(features, restored)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = _conv(channels, channels), _conv(channels, 3), _conv(3, channels)

    def forward(self, features: Tensor, blurry: Tensor) -> tuple[Tensor, Tensor]:
        restored = blurry + self.conv2(features)
        return features + self.conv1(features) * torch.sigmoid(self.conv3(restored)), restored


class _Encoder(nn.Module):
    """Features at three resolutions; with ``feedback``, each takes in what the stage before had there."""

    def __init__(self, widths: tuple[int, int, int], block: Block, feedback: bool) -> None:
        super().__init__()
        self.encoder_level1, self.encoder_level2, self.encoder_level3 = (_two(block, width) for width in widths)
        self.down12, self.down23 = _Down(widths[0], widths[1]), _Down(widths[1], widths[2])
        if feedback:
            self.csff_enc1, self.csff_enc2, self.csff_enc3 = (_conv(width, width) for width in widths)
            self.csff_dec1, self.csff_dec2, self.csff_dec3 = (_conv(width, width) for width in widths)

    def forward(self, features: Tensor, *before: Levels) -> Levels:
        """``before``: nothing, or what the stage before encoded and decoded."""
        level1 = self._fed(self.encoder_level1(features), 1, before)
        level2 = self._fed(self.encoder_level2(self.down12(level1)), 2, before)
        level3 = self._fed(self.encoder_level3(self.down23(level2)), 3, before)
        return level1, level2, level3

    def _fed(self, features: Tensor, level: int, before: tuple[Levels, ...]) -> Tensor:
        for kind, levels in zip(("enc", "dec"), before, strict=False):
            features = features + getattr(self, f"csff_{kind}{level}")(levels[level - 1])
        return features


class _Decoder(nn.Module):
    """From the lowest of three resolutions back to the highest; gives all three."""

    def __init__(self, widths: tuple[int, int, int], block: Block) -> None:
        super().__init__()
        self.decoder_level1, self.decoder_level2, self.decoder_level3 = (_two(block, width) for width in widths)
        self.skip_attn1, self.skip_attn2 = block(widths[0]), block(widths[1])
        self.up21, self.up32 = _Up(widths[1], widths[0]), _Up(widths[2], widths[1])

    def forward(self, encoded: Levels) -> Levels:
        level3 = self.decoder_level3(encoded[2])
        level2 = self.decoder_level2(self.up32(level3) + self.skip_attn2(encoded[1]))
        level1 = self.decoder_level1(self.up21(level2) + self.skip_attn1(encoded[0]))
        return level1, level2, level3


class _FullResolution(nn.Module):
    """Three groups at full resolution; after each, one resolution of the stage before is added."""

    def __init__(self, widths: tuple[int, int, int], channels: int, groups: list[_Group]) -> None:
        super().__init__()
        self.orb1, self.orb2, self.orb3 = groups
        self.up_enc1, self.up_dec1 = _Up(widths[1], widths[0]), _Up(widths[1], widths[0])
        self.up_enc2, self.up_dec2 = (
            nn.Sequential(_Up(widths[2], widths[1]), _Up(widths[1], widths[0])) for _ in range(2)
        )
        self.conv_enc1, self.conv_enc2, self.conv_enc3 = (_conv(widths[0], channels) for _ in range(3))
        self.conv_dec1, self.conv_dec2, self.conv_dec3 = (_conv(widths[0], channels) for _ in range(3))

    def forward(self, features: Tensor, encoded: Levels, decoded: Levels) -> Tensor:
        features = self.orb1(features) + self.conv_enc1(encoded[0]) + self.conv_dec1(decoded[0])
        fed = self.conv_enc2(self.up_enc1(encoded[1])) + self.conv_dec2(self.up_dec1(decoded[1]))
        features = self.orb2(features) + fed
        fed = self.conv_enc3(self.up_enc2(encoded[2])) + self.conv_dec3(self.up_dec2(decoded[2]))
        return self.orb3(features) + fed


class _Group(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.body(features)


class _Down(nn.Module):
    """Half the size (bilinear, which is the mean of 2×2 pixels), then a 1×1 convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.AvgPool2d(2), _conv(before, after))

    def forward(self, features: Tensor) -> Tensor:
        return self.down(features)


class _Up(nn.Module):
    """Twice the size (bilinear) and a 1×1 convolution. They may swap, and the convolution is cheaper before."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.Identity(), _conv(before, after))  # the published weights call it 1

    def forward(self, features: Tensor) -> Tensor:
        return F.interpolate(self.up(features), scale_factor=2, mode="bilinear", align_corners=False)


def _conv(before: int, after: int, kernel_size: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2, bias=False)


def _two(block: Block, channels: int) -> nn.Sequential:
    return nn.Sequential(block(channels), block(channels))


def _split(images: Tensor, axis: int) -> Tensor:
    """``(B, …)`` to ``(2B, …)`` of half the size along ``axis``: all first halves, then all second ones."""
    return torch.cat(images.chunk(2, axis), dim=0)


def _join(halves: Tensor, axis: int) -> Tensor:
    """The inverse of :func:`_split`."""
    return torch.cat(halves.chunk(2, 0), dim=axis)


def _join_levels(levels: Levels, axis: int) -> Levels:
    return _join(levels[0], axis), _join(levels[1], axis), _join(levels[2], axis)


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
    return Backbone(network, divisor=8, licence=licence, name="mprnet", block=_AttentionBlock)
