"""Propagates sparse values to every pixel, following the edges of the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.filters import guided_blur
from torch import Tensor

__all__ = ["propagate"]

COARSE_SHARE = 0.003  # weight of the coarser level's value at each level
SUBSAMPLING = 2  # of the guided filter, as in He and Sun's fast version
SMALLEST_PX = 8  # no guided filter below this side


def propagate(values: Tensor, weight: Tensor, image: Tensor, window_px: int = 41, eps: float = 1e-3) -> Tensor:
    """Fill gaps coarse to fine, then smooth with the image as guide (guided filter).

    Weighted means over blocks of 1, 2, 4, … pixels; each finer level replaces the coarser one where it has weight.

    Args:
        values: ``(B, 1, H, W)``; used only where there is weight.
        weight: ``(B, 1, H, W)``, not negative. For an image without any weight the result is 0.
        image: ``(B, 3, H, W)`` in [0, 1], the guide.
        window_px: side of the guided filter's window, odd; limited to the image.
        eps: variance of the guide below which the filter smooths across edges.

    Returns:
        ``(B, 1, H, W)``, within the range of the ``values`` that have weight.

    Source: He and Sun 2015, "Fast Guided Filter"; the filling is ours.
    """
    height, width = image.shape[-2:]
    sums = [(values * weight, weight)]
    while max(sums[-1][0].shape[-2:]) > 1:
        sums.append((_halved(sums[-1][0]), _halved(sums[-1][1])))
    total, share = sums[-1]
    filled = total / share.clamp_min(1e-12)
    for total, share in reversed(sums):
        filled = F.interpolate(filled, total.shape[-2:], mode="bilinear", align_corners=False)
        filled = (total + COARSE_SHARE * filled) / (share + COARSE_SHARE)
    if min(height, width) < SMALLEST_PX:
        return filled
    window = min(window_px, (min(height, width) // SUBSAMPLING - 1) | 1)
    smooth = guided_blur(image, filled, window, eps, border_type="replicate", subsample=SUBSAMPLING, separable=True)
    known = weight > 0
    low = values.masked_fill(~known, torch.inf).amin((1, 2, 3), keepdim=True)
    high = values.masked_fill(~known, -torch.inf).amax((1, 2, 3), keepdim=True)
    return torch.where(low <= high, smooth.clamp(low, high), 0)


def _halved(sums: Tensor) -> Tensor:
    """Means over 2×2 pixels, zero-padded, so that values and weights scale equally."""
    height, width = sums.shape[-2:]
    return F.avg_pool2d(F.pad(sums, (0, width % 2, 0, height % 2)), 2)
