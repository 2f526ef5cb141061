"""Small filters used by registration."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["gradient", "mean_over", "robust_scale", "robust_weight", "smooth", "texture"]

LARGEST_MATRIX_PX = {False: 128, True: 512}  # longest side blurred by matrix products; key: on a GPU


def smooth(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of each channel of ``(B, C, H, W)``, edges replicated; ``sigma`` in pixels, 0 returns the image."""
    if sigma == 0:
        return image
    # An exported network takes images of sizes that are not known yet.
    if not torch.compiler.is_compiling() and max(image.shape[-2:]) <= LARGEST_MATRIX_PX[image.is_cuda]:
        return _by_matrices(image, sigma)
    radius, taps = _taps(sigma)
    rows = _shifted_sums(F.pad(image, (radius, radius, 0, 0), mode="replicate"), taps, dim=3)
    return _shifted_sums(F.pad(rows, (0, 0, radius, radius), mode="replicate"), taps, dim=2)


def _by_matrices(image: Tensor, sigma: float) -> Tensor:
    """Two products: on a small image each operation costs more to launch than to compute."""
    batch, channels, height, width = image.shape
    rows = image.reshape(-1, width) @ _band(width, sigma, image.dtype, image.device).T
    columns = _band(height, sigma, image.dtype, image.device).expand(batch * channels, height, height)
    return torch.bmm(columns, rows.view(batch * channels, height, width)).view(image.shape)


def _shifted_sums(padded: Tensor, taps: tuple[float, ...], dim: int) -> Tensor:
    """Weighted sum of slices: several times as fast as oneDNN's and PyTorch's single-channel convolutions."""
    size = padded.shape[dim] - len(taps) + 1
    total = taps[0] * padded.narrow(dim, 0, size)
    for start, tap in enumerate(taps[1:], 1):
        total.add_(padded.narrow(dim, start, size), alpha=tap)
    return total


def _taps(sigma: float) -> tuple[int, tuple[float, ...]]:
    """Radius of the kernel, 3σ, and its taps, which sum to 1."""
    radius = max(1, math.ceil(3 * sigma))
    half = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(radius + 1)]
    total = 2 * sum(half) - half[0]
    return radius, tuple(half[abs(offset)] / total for offset in range(-radius, radius + 1))


@lru_cache(maxsize=128)
def _band(size: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Matrix ``(size, size)`` that blurs an axis of ``size`` pixels."""
    radius, taps = _taps(sigma)
    with torch.inference_mode(False):  # cached: training cannot use a tensor made under inference mode
        sources = (torch.arange(size)[:, None] + torch.arange(-radius, radius + 1)).clamp(0, size - 1)
        weights = torch.tensor(taps, dtype=torch.float64).expand(size, -1)
        band = torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, sources, weights)
        return band.to(dtype).to(device)


def gradient(image: Tensor) -> Tensor:
    """Central differences ``(B, 2, H, W)`` of ``(B, 1, H, W)``."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    return (
        torch.cat([padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2], padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]], 1)
        / 2
    )


def texture(image: Tensor) -> Tensor:
    """Mean squared derivative of ``(B, 1, H, W)``: ``(B, 1, 1, 1)``. Blur lowers it."""
    return gradient(image).square().mean(dim=(1, 2, 3), keepdim=True)


def mean_over(image: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``(B, C, H, W)`` weighted by ``(B, 1, H, W)``: ``(B, C, 1, 1)``."""
    return (image * weight).sum(dim=(2, 3), keepdim=True) / weight.sum(dim=(2, 3), keepdim=True).clamp_min(1)


def robust_scale(residual: Tensor, valid: Tensor) -> Tensor:
    """Standard deviation from the mean absolute deviation, ``1.25 × mean |r|`` over ``valid``: ``(B, C, 1, 1)``."""
    return 1.25 * mean_over(residual.abs(), valid) + 1e-6


def robust_weight(residual: Tensor, valid: Tensor) -> Tensor:
    """``valid / (1 + (r / 2s)²)²`` with ``s`` from :func:`robust_scale`: Geman-McClure, outliers count little."""
    return valid / (1 + (residual / (2 * robust_scale(residual, valid))).square()).square()
