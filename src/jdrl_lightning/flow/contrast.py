"""How much contrast each cell of a picture holds and how wide its edges are: what tells blur from sharpness."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["DISTANCES", "WINDOWS", "edge_width", "log_contrast"]

DISTANCES = (1, 2, 4)  # px; blur takes the contrast of near neighbours first
QUIET = 1 / 255  # differences below one level of 8 bits are noise
WINDOWS = (1, 4, 8)  # cells to each side of a cell
TYPICAL = 0.05  # of photographs: their logarithms lie around 0


@torch.no_grad()
def log_contrast(images: Tensor, stride: int) -> Tensor:
    """``(B, 3, H, W)`` to ``(B, 3, H / stride, W / stride)``: logarithm of the mean difference between neighbours.

    One channel for each of ``DISTANCES``: mean over a cell of ``stride × stride`` px of the absolute differences of
    grey to the neighbours that far right and below, added. Without gradient: it says where there is blur, and must not
    become a way to move it. ``H`` and ``W`` are multiples of ``stride``.
    """
    grey, channels = images.mean(1, keepdim=True), []
    for distance in DISTANCES:
        across, down = _differences(grey, distance)
        channels.append(F.avg_pool2d(across + down, stride))
    return ((torch.cat(channels, 1) + QUIET) / TYPICAL).log()


@torch.no_grad()
def edge_width(images: Tensor, stride: int) -> Tensor:
    """``(B, 3, H, W)`` to ``(B, 9, H / stride, W / stride)``: log of the steepest edge's width.

    Within each of ``WINDOWS`` around a cell, the range of the grey values is divided by the largest difference at each
    of ``DISTANCES``: the logarithm is 0 for an edge at most that wide, larger for a blurred one, whatever its contrast.
    Both with four grey levels added, so that noise is no edge: 0 where nothing varies. Window by window. Without
    gradient. ``H`` and ``W`` are multiples of ``stride``.
    """
    grey = images.mean(1, keepdim=True)
    steepest = [F.max_pool2d(torch.maximum(*_differences(grey, distance)), stride) for distance in DISTANCES]
    extremes = F.max_pool2d(torch.cat([grey, -grey], 1), stride)
    channels = []
    for window in WINDOWS:
        found = F.max_pool2d(torch.cat([extremes, *steepest], 1), 2 * window + 1, 1, window)
        span = found[:, :1] + found[:, 1:2]
        channels.append(((span + 4 * QUIET) / (found[:, 2:] + 4 * QUIET)).log())
    return torch.cat(channels, 1)


def _differences(grey: Tensor, distance: int) -> tuple[Tensor, Tensor]:
    """To the neighbours that far right and below; 0 where there is none."""
    across = (grey[..., distance:] - grey[..., :-distance]).abs()
    down = (grey[..., distance:, :] - grey[..., :-distance, :]).abs()
    return F.pad(across, (0, distance)), F.pad(down, (0, 0, 0, distance))
