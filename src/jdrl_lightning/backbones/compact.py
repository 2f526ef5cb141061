"""A small residual U-Net at half resolution that also predicts how blurred each pixel is; restores on a processor."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone, combined
from jdrl_lightning.backbones.checkpoints import load_weights
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair, Restored

__all__ = ["Compact", "CompactBackbone", "compact"]

UNSHUFFLE = 2  # pixels a side that become channels: full resolution costs four times as much and gains little
MAP_CHANNELS = 8


class Compact(nn.Module):
    """Pixel-unshuffle by 2, a U-Net of residual blocks without normalisation, pixel-shuffle, global residual.

    Down by strided 2×2 convolutions, up by transposed ones, additive skips. The second convolution of each block and
    the last of all start at zero: an untrained network returns its input.

    Args:
        width: channels at half resolution, doubled at each coarser level.
        blocks: residual blocks of each level, finest first; the coarsest has as many, the others have them twice, on
            the way down and up.
        in_channels: 3; 6 for both dual-pixel views, whose mean the residual is added to.
    """

    def __init__(self, width: int = 32, blocks: tuple[int, ...] = (2, 2, 2), in_channels: int = 3) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(len(blocks))]
        steps = list(pairwise(channels))
        image = 3 * UNSHUFFLE**2
        self.head = nn.Conv2d(in_channels * UNSHUFFLE**2, width, 3, padding=1)
        self.encoder = nn.ModuleList(_blocks(c, n) for c, n in zip(channels, blocks, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, 2) for fine, coarse in steps)
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2) for fine, coarse in steps)
        self.decoder = nn.ModuleList(_blocks(c, n) for c, n in zip(channels[:-1], blocks[:-1], strict=True))
        self.tail = nn.Conv2d(width, image, 3, padding=1)
        self.map_head = nn.Sequential(
            nn.Conv2d(width, MAP_CHANNELS, 1), nn.ReLU(inplace=True), nn.Conv2d(MAP_CHANNELS, 1, 3, padding=1)
        )
        for parameter in self.tail.parameters():
            nn.init.zeros_(parameter)

    @property
    def divisor(self) -> int:
        """Height and width must be multiples of this, pixels."""
        return int(UNSHUFFLE * 2 ** len(self.down))

    def forward(self, blurry: Tensor) -> Restored:
        """Restore ``(B, in_channels, H, W)``; ``aux["coc"]`` is the radius of defocus, px, ``(B, 1, H, W)``."""
        features = self.head(F.pixel_unshuffle(blurry, UNSHUFFLE))
        skips = []
        for encode, down in zip(self.encoder, self.down, strict=False):
            features = encode(features)
            skips.append(features)
            features = down(features)
        features = self.encoder[-1](features)
        for up, decode in zip(reversed(self.up), reversed(self.decoder), strict=True):
            features = decode(up(features) + skips.pop())
        restored = combined(blurry) + F.pixel_shuffle(self.tail(features), UNSHUFFLE)
        radius = F.softplus(self.map_head(features))
        radius = F.interpolate(radius, scale_factor=UNSHUFFLE, mode="bilinear", align_corners=False)
        return Restored((restored,), {"coc": radius})


class _Block(nn.Module):
    """Adds two 3×3 convolutions with a ReLU in between to its input; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        changed: Tensor = self.second(F.relu(self.first(features), inplace=True))
        return features + changed


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(channels) for _ in range(count)))


class CircleOfConfusionLoss(nn.Module):
    """Mean absolute error of the predicted radius, px, times ``weight``; follows :meth:`Backbone.auxiliary`."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, backbone: Backbone, restored: Restored, pair: Pair) -> dict[str, Tensor]:
        """``coc`` of pairs whose true radius is there; otherwise zero, so that the head has a gradient under DDP."""
        predicted = restored.aux["coc"][..., : pair.blurry.shape[-2], : pair.blurry.shape[-1]]
        if "coc" not in pair.extras:
            return {"coc": 0 * predicted.sum()}
        return {"coc": self.weight * (predicted - pair.extras["coc"]).abs().mean()}


class CompactBackbone(Backbone):
    """:class:`Compact` as a backbone, with its loss for the map."""

    def __init__(self, network: Compact, map_weight: float, in_channels: int) -> None:
        super().__init__(
            network, divisor=network.divisor, licence="Apache-2.0", name="compact", in_channels=in_channels
        )
        self.map_weight = map_weight

    def auxiliary(self) -> nn.Module:
        """The loss of the predicted circle of confusion."""
        return CircleOfConfusionLoss(self.map_weight)


def compact(
    width: int = 32,
    blocks: tuple[int, ...] = (2, 2, 2),
    map_weight: float = 0.005,
    weights: str | None = None,
    in_channels: int = 3,
) -> Backbone:
    """The network as a backbone; 1,049,245 parameters and 49,938 multiply-adds a pixel at the default size.

    Args:
        width: see :class:`Compact`.
        blocks: see :class:`Compact`.
        map_weight: of the loss of the predicted circle of confusion, a px; counts where the true one is there.
        weights: a file, or ``builtin``, the weights that come with the package; None: untrained.
        in_channels: see :class:`Compact`.
    """
    if width < 1 or not blocks or min(blocks) < 1:
        raise UserError(f"backbone.width={width} and backbone.blocks={list(blocks)} must be positive")
    backbone = CompactBackbone(Compact(width, tuple(blocks), in_channels), map_weight, in_channels)
    if weights is not None:
        load_weights(backbone, weights)
    return backbone
