"""Defocus of a plane: a disc PSF whose radius varies over the image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["blur_by_discs", "disc"]


def disc(radius: float, size: int) -> Tensor:
    """An antialiased disc ``(size, size)`` that sums to 1, centred at ``size // 2``; radius 0 is a point."""
    offset = torch.arange(size, dtype=torch.float64) - size // 2
    distance = torch.hypot(offset[:, None], offset[None, :])
    coverage = (radius + 0.5 - distance).clamp(0, 1)
    return coverage / coverage.sum()


def blur_by_discs(image: Tensor, radius: Tensor) -> Tensor:
    """Gather each pixel of ``image`` from a disc of its own radius.

    Integer radii are computed by FFT, fractional ones by linear interpolation. The image wraps around: add a margin as
    wide as the largest radius.

    Args:
        image: ``(C, H, W)``, linear light, premultiplied by its coverage, if any.
        radius: ``(H, W)``, pixels, at least 0.

    Returns:
        ``(C, H, W)``.
    """
    height, width = image.shape[-2:]
    lowest, highest = math.floor(float(radius.min())), math.ceil(float(radius.max()))
    spectrum = torch.fft.rfft2(image)
    blurred = torch.zeros_like(image)
    for step in range(lowest, highest + 1):
        weight = (1 - (radius - step).abs()).clamp_min(0)
        if step == 0:
            level = image
        else:
            kernel = torch.zeros(height, width, dtype=torch.float64)
            size = 2 * step + 3
            kernel[:size, :size] = disc(step, size)
            kernel = kernel.roll((-(size // 2), -(size // 2)), dims=(0, 1)).to(image.dtype)
            level = torch.fft.irfft2(spectrum * torch.fft.rfft2(kernel), s=(height, width))
        blurred += weight * level
    return blurred
