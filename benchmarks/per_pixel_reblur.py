"""Reblurring as published: every per-pixel kernel is built and every shifted image is stored (the reference).

Same arguments and result as ``jdrl_lightning.reblur.operator.reblur`` with ``support="square"`` and zero padding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def per_pixel_kernels(seed: Tensor) -> Tensor:
    """``(B, i, H, W)`` to ``(B, (2 i - 1)², H, W)``: the logit of each element from the seeds around its radius."""
    level = seed.shape[1]
    radial = seed.abs().unbind(dim=1)  # the backward of indexing would cost more than the rest
    logits = []
    for dy in range(1 - level, level):
        for dx in range(1 - level, level):
            radius = math.hypot(dx, dy)
            below = math.floor(radius)
            if radius > level - 1:
                logits.append(torch.zeros_like(radial[0]))
            elif radius == below:
                logits.append(radial[below])
            else:
                logits.append(torch.lerp(radial[below], radial[below + 1], radius - below))
    return torch.stack(logits, dim=1).softmax(dim=1)


def per_pixel_reblur(image: Tensor, seeds: Tensor, weights: Tensor, levels: int = 8) -> Tensor:
    """``W_1 image + Σ_i W_i Σ_elements kernel_i · shifted image``."""
    batch, channels, height, width = image.shape
    out = weights[:, :1] * image
    for level, seed in enumerate(torch.split(seeds, list(range(2, levels + 1)), dim=1), start=2):
        side = 2 * level - 1
        shifted = F.unfold(image, side, padding=level - 1).view(batch, channels, side * side, height, width)
        blurred = (per_pixel_kernels(seed)[:, None] * shifted).sum(dim=2)
        out = out + weights[:, level - 1 : level] * blurred
    return out
