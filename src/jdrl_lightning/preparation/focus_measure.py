"""How sharp each frame of a focus stack is, pixel by pixel, and the depth that follows from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from torch import Tensor

from jdrl_lightning.flow.filters import smooth

__all__ = ["WINDOW_PX", "down", "focus_index", "local_energy", "up"]

WINDOW_PX = 3.0  # σ, in pixels of the pyramid's level
NOISE = (1.5 / 255) ** 2  # energy that noise has too: below it, sharpness says nothing
ALIKE = 0.5  # logarithm of a ratio of energies that is no difference
FILL_SCALES = (32, 8, 2)


def down(image: Tensor) -> Tensor:
    """The next level of a pyramid: ``(B, C, H, W)`` at half the resolution, odd sides rounded up."""
    return F.avg_pool2d(smooth(image, 0.8), 2, ceil_mode=True)


def up(image: Tensor, like: Tensor) -> Tensor:
    """``(B, C, h, w)`` on the grid of ``like``, bilinear."""
    return F.interpolate(image, like.shape[-2:], mode="bilinear")


def local_energy(band: Tensor) -> Tensor:
    """Mean square of the luminance of a band-pass image ``(B, 3, H, W)`` around each pixel: ``(B, 1, H, W)``."""
    return smooth(rgb_to_grayscale(band).square(), WINDOW_PX)


def focus_index(energies: Sequence[Tensor]) -> Tensor:
    """The frame in which each pixel is sharpest, between frames by a parabola through the peak: ``(1, 1, H, W)``.

    What has no texture takes the index of what lies around it and has.

    Args:
        energies: :func:`local_energy` of each frame, ``(1, 1, H, W)``, 0 where a frame does not cover the pixel.

    Returns:
        From 0 to the number of frames less one.
    """
    energy = torch.cat(list(energies), dim=1)
    stack, seen = (energy + NOISE / 10).log(), (energy > 0).to(energy.dtype)
    peak = stack.argmax(dim=1, keepdim=True)
    last = stack.shape[1] - 1
    before, top, after = (stack.gather(1, (peak + step).clamp(0, last)) for step in (-1, 0, 1))
    curvature = (2 * top - before - after).clamp_min(1e-6)
    shift = ((after - before) / (2 * curvature)).clamp(-0.5, 0.5)
    index = peak + torch.where((peak > 0) & (peak < last), shift, torch.zeros_like(shift))
    # Among the frames that show the pixel: in noise all are nearly alike.
    distinct = top - (stack * seen).sum(dim=1, keepdim=True) / seen.sum(dim=1, keepdim=True).clamp_min(1)
    trust = (distinct - ALIKE).clamp(0, 1) * (top.exp() / NOISE).clamp_max(1)
    return _filled(index, trust).clamp(0, last)


def _filled(values: Tensor, trust: Tensor) -> Tensor:
    """``values`` where they are trusted, elsewhere the mean of the trusted ones in windows that grow as needed."""
    filled = (values * trust).sum() / trust.sum().clamp_min(1e-12) * torch.ones_like(values)
    for scale in FILL_SCALES:
        weighted, weight = (_pooled(image, scale) for image in (values * trust, trust))
        coarse = up((weighted + 1e-3 * _pooled(filled, scale)) / (weight + 1e-3), values)
        filled = coarse
    share = trust / (trust + 0.1)
    return share * values + (1 - share) * filled


def _pooled(image: Tensor, scale: int) -> Tensor:
    return smooth(F.avg_pool2d(image, scale, ceil_mode=True, count_include_pad=False), 2.0)
