"""How much contrast each cell of a picture holds: what tells blur from sharpness, measured for the coarse network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["DISTANCES", "log_contrast"]

DISTANCES = (1, 2, 4)  # px; blur takes the contrast of near neighbours first
QUIET = 1 / 255  # differences below one level of 8 bits are noise
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
        across = (grey[..., distance:] - grey[..., :-distance]).abs()
        down = (grey[..., distance:, :] - grey[..., :-distance, :]).abs()
        total = F.pad(across, (0, distance)) + F.pad(down, (0, 0, 0, distance))
        channels.append(F.avg_pool2d(total, stride))
    return ((torch.cat(channels, 1) + QUIET) / TYPICAL).log()
