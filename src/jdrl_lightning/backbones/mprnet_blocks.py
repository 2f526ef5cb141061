"""Building blocks of MPRNet: channel attention, encoder, decoder, supervised attention, full-resolution groups."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "AttentionBlock", "Decoder", "Encoder", "FullResolution", "Group", "SupervisedAttention", "conv", "join",
    "join_levels", "split",
]  # fmt: skip

Levels = tuple[Tensor, Tensor, Tensor]  # features at full, half and quarter resolution
Block = Callable[[int], nn.Module]  # channels -> a channel-attention block


class AttentionBlock(nn.Module):
    """Two convolutions and a channel attention, plus the input."""

    def __init__(self, channels: int, activation: nn.Module, kernel_size: int, reduction: int) -> None:
        super().__init__()
        first, second = (conv(channels, channels, kernel_size) for _ in range(2))
        self.body = nn.Sequential(first, activation, second)
        self.CA = _ChannelAttention(channels, reduction)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.CA(self.body(features))


class _ChannelAttention(nn.Module):
    """Scales each channel by a factor predicted from the means of all channels."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        narrow = channels // reduction
        self.conv_du = nn.Sequential(
            conv(channels, narrow), nn.ReLU(inplace=True), conv(narrow, channels), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        return features * self.conv_du(features.mean((2, 3), keepdim=True))


class SupervisedAttention(nn.Module):
    """Restores an image, and weights the features by an attention predicted from it: ``(features, restored)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(channels, channels), conv(channels, 3), conv(3, channels)

    def forward(self, features: Tensor, blurry: Tensor) -> tuple[Tensor, Tensor]:
        restored = blurry + self.conv2(features)
        return features + self.conv1(features) * torch.sigmoid(self.conv3(restored)), restored


class Encoder(nn.Module):
    """Features at three resolutions; with ``feedback``, the previous stage's features are added at each."""

    def __init__(self, widths: tuple[int, int, int], block: Block, feedback: bool) -> None:
        super().__init__()
        self.encoder_level1, self.encoder_level2, self.encoder_level3 = (_two(block, width) for width in widths)
        self.down12, self.down23 = _Down(widths[0], widths[1]), _Down(widths[1], widths[2])
        if feedback:
            self.csff_enc1, self.csff_enc2, self.csff_enc3 = (conv(width, width) for width in widths)
            self.csff_dec1, self.csff_dec2, self.csff_dec3 = (conv(width, width) for width in widths)

    def forward(self, features: Tensor, *before: Levels) -> Levels:
        """``before``: nothing, or the previous stage's encoder and decoder features."""
        level1 = self._add_feedback(self.encoder_level1(features), 1, before)
        level2 = self._add_feedback(self.encoder_level2(self.down12(level1)), 2, before)
        level3 = self._add_feedback(self.encoder_level3(self.down23(level2)), 3, before)
        return level1, level2, level3

    def _add_feedback(self, features: Tensor, level: int, before: tuple[Levels, ...]) -> Tensor:
        for kind, levels in zip(("enc", "dec"), before, strict=False):
            features = features + getattr(self, f"csff_{kind}{level}")(levels[level - 1])
        return features


class Decoder(nn.Module):
    """From the lowest of three resolutions to the highest; returns the features at all three."""

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


class FullResolution(nn.Module):
    """Three groups at full resolution; after each, the previous stage's features at one resolution are added."""

    def __init__(self, widths: tuple[int, int, int], channels: int, groups: list[Group]) -> None:
        super().__init__()
        self.orb1, self.orb2, self.orb3 = groups
        self.up_enc1, self.up_dec1 = _Up(widths[1], widths[0]), _Up(widths[1], widths[0])
        self.up_enc2, self.up_dec2 = (
            nn.Sequential(_Up(widths[2], widths[1]), _Up(widths[1], widths[0])) for _ in range(2)
        )
        self.conv_enc1, self.conv_enc2, self.conv_enc3 = (conv(widths[0], channels) for _ in range(3))
        self.conv_dec1, self.conv_dec2, self.conv_dec3 = (conv(widths[0], channels) for _ in range(3))

    def forward(self, features: Tensor, encoded: Levels, decoded: Levels) -> Tensor:
        features = self.orb1(features) + self.conv_enc1(encoded[0]) + self.conv_dec1(decoded[0])
        feedback = self.conv_enc2(self.up_enc1(encoded[1])) + self.conv_dec2(self.up_dec1(decoded[1]))
        features = self.orb2(features) + feedback
        feedback = self.conv_enc3(self.up_enc2(encoded[2])) + self.conv_dec3(self.up_dec2(decoded[2]))
        return self.orb3(features) + feedback


class Group(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.body(features)


class _Down(nn.Module):
    """Downsampling by 2 (bilinear, i.e. the mean of 2×2 pixels), then a 1×1 convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.AvgPool2d(2), conv(before, after))

    def forward(self, features: Tensor) -> Tensor:
        return self.down(features)


class _Up(nn.Module):
    """Bilinear upsampling by 2 and a 1×1 convolution; they commute, and the convolution is cheaper first."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.Identity(), conv(before, after))  # index 1, as in the published weights

    def forward(self, features: Tensor) -> Tensor:
        return F.interpolate(self.up(features), scale_factor=2, mode="bilinear", align_corners=False)


def conv(before: int, after: int, kernel_size: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2, bias=False)


def _two(block: Block, channels: int) -> nn.Sequential:
    return nn.Sequential(block(channels), block(channels))


def split(images: Tensor, axis: int) -> Tensor:
    """Split into halves along ``axis``, ``(B, …)`` to ``(2B, …)``: all first halves, then all second halves."""
    return torch.cat(images.chunk(2, axis), dim=0)


def join(halves: Tensor, axis: int) -> Tensor:
    """The inverse of :func:`split`."""
    return torch.cat(halves.chunk(2, 0), dim=axis)


def join_levels(levels: Levels, axis: int) -> Levels:
    return join(levels[0], axis), join(levels[1], axis), join(levels[2], axis)
