"""Small filters that registration is made of."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["gradient", "luminance", "mean_over", "robust_scale", "robust_weight", "smooth", "texture"]


def luminance(image: Tensor) -> Tensor:
    """BT.601 grey ``(B, 1, H, W)`` of ``(B, 3, H, W)`` RGB."""
    return (image * image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def smooth(image: Tensor, sigma: float) -> Tensor:
    """Gaussian of ``sigma`` pixels on every channel of ``(B, C, H, W)``, edges replicated; 0 gives back the image."""
    if sigma == 0:
        return image
    radius = max(1, math.ceil(3 * sigma))
    offset = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    taps = torch.exp(-0.5 * (offset / sigma).square())
    taps = taps / taps.sum()
    batch, channels, height, width = image.shape
    flat = image.reshape(batch * channels, 1, height, width)
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), mode="replicate"), taps.view(1, 1, 1, -1))
    flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), mode="replicate"), taps.view(1, 1, -1, 1))
    return flat.view(batch, channels, height, width)


def gradient(image: Tensor) -> Tensor:
    """Central differences ``(B, 2, H, W)`` of ``(B, 1, H, W)``."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    return (
        torch.cat([padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2], padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]], 1)
        / 2
    )


def texture(image: Tensor) -> Tensor:
    """Mean square of both derivatives of ``(B, 1, H, W)``: ``(B, 1, 1, 1)``. Blur lowers it."""
    return gradient(image).square().mean(dim=(1, 2, 3), keepdim=True)


def mean_over(image: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``(B, C, H, W)`` under ``weight`` ``(B, 1, H, W)``: ``(B, C, 1, 1)``."""
    return (image * weight).sum(dim=(2, 3), keepdim=True) / weight.sum(dim=(2, 3), keepdim=True).clamp_min(1)


def robust_scale(residual: Tensor, valid: Tensor) -> Tensor:
    """Standard deviation by the mean deviation, ``1.25 ×`` the mean of ``|r|`` over ``valid``: ``(B, C, 1, 1)``."""
    return 1.25 * mean_over(residual.abs(), valid) + 1e-6


def robust_weight(residual: Tensor, valid: Tensor) -> Tensor:
    """``valid / (1 + (r / 2s)²)²`` with the robust scale ``s``: outliers count little."""
    return valid / (1 + (residual / (2 * robust_scale(residual, valid))).square()).square()
