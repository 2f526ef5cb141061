"""Estimates a blur map from the blurry image alone, one value for each cell of pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jdrl_lightning.backbones.residual_block import ResidualBlock
from jdrl_lightning.flow.contrast import BLURS, DISTANCES, WINDOWS, edge_width, edges_left, log_contrast

__all__ = ["CellBlurEstimator"]

START = 0.1  # the value of an untrained map


class CellBlurEstimator(nn.Module):
    """Residual blocks on cells of ``stride × stride`` px and, in between, on cells twice as wide; enlarged bilinearly.

    It is given the cells' pixels, their contrast, how wide the edges around them are and what further blur leaves of
    them. The published estimator (:class:`.BlurEstimator`) costs seven times as much and does not know after 180 steps
    where the blur is.

    Args:
        channels: of the map.
        width: feature channels, doubled at the coarser cells.
        stride: pixels a side of a cell, at least 2.

    Source: ours.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        given = 3 * stride**2 + len(DISTANCES) * (1 + len(WINDOWS)) + (len(BLURS) - 1) * len(WINDOWS)
        self.first = nn.Conv2d(given, width, 3, padding=1)
        self.before, self.after = _blocks(width), _blocks(width)
        self.down = nn.Conv2d(width, 2 * width, 2, 2)
        self.coarse = _blocks(2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias, START)

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to ``(B, channels, H, W)``."""
        height, width = blurry.shape[-2:]
        multiple = 2 * self.stride
        whole = F.pad(blurry, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        cells = F.pixel_unshuffle(whole, self.stride)
        edges = [measure(whole, self.stride) for measure in (log_contrast, edge_width, edges_left)]
        features = self.before(self.first(torch.cat([cells, *edges], dim=1)))
        features = features + self.up(self.coarse(self.down(features)))
        found = self.last(self.after(features))
        return F.interpolate(found, scale_factor=self.stride, mode="bilinear")[..., :height, :width]


def _blocks(width: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(2)))
