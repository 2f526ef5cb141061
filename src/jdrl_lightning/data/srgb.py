"""The transfer function of sRGB; blur, exposure and noise act on linear light."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["linear", "srgb"]


def linear(image: Tensor) -> Tensor:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055).clamp_min(0) ** 2.4)


def srgb(light: Tensor) -> Tensor:
    """Linear light to sRGB, clamped to [0, 1]."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp_min(1e-8) ** (1 / 2.4) - 0.055)
