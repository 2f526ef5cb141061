"""Shared by the checks: ``require``, copies, useful gradients and test images."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["copy", "has_gradient", "require", "texture"]


def require(condition: Any, message: str) -> None:
    """``assert`` that is kept by ``python -O``."""
    if not condition:
        raise AssertionError(message)


def copy(part: nn.Module) -> nn.Module:
    try:
        return deepcopy(part)
    except Exception as error:
        raise AssertionError(
            f"{type(part).__name__} cannot be copied, which weight averaging needs: {error}"
        ) from error


def has_gradient(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.isfinite().all()) and bool((gradient != 0).any())


def texture(height: int, width: int, like: nn.Module | None = None) -> Tensor:
    """Two smooth random images in [0, 1] with detail at all scales, ``(2, 3, height, width)``."""
    generator, image = torch.Generator().manual_seed(0), torch.zeros(2, 3, height, width)
    for scale in (3, 6, 12, 24):
        noise = torch.rand(2, 3, height // scale + 2, width // scale + 2, generator=generator)
        image += F.interpolate(noise, (height, width), mode="bicubic", align_corners=True) * scale**0.5
    low, high = image.amin(dim=(1, 2, 3), keepdim=True), image.amax(dim=(1, 2, 3), keepdim=True)
    parameter = next(like.parameters(), None) if like is not None else None
    return ((image - low) / (high - low)).to("cpu" if parameter is None else parameter.device)
