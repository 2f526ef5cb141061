"""The sharp shot by C++; see :func:`.displaced`, which has the same in torch."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from jdrl_lightning.data.synthetic.misalignment import CONVERGED_PX, Displacement
from jdrl_lightning.data.synthetic.regions import Box
from jdrl_lightning.data.synthetic.scene import Layer

__all__ = ["displaced"]


def displaced(
    library: ctypes.CDLL, layers: Sequence[Layer], frame: Box, margin: int, displacement: Displacement, edge: float
) -> Tensor:
    """``(3, h, w)`` linear light, of frame pixels two master pixels a side.

    Args:
        edge: coverage at which a pixel of the frame counts as mixed.
    """
    light = torch.empty(3, frame.height // 2, frame.width // 2)
    pictures = [layer.rgba.contiguous() for layer in layers]
    numbers = (
        torch.tensor(_numbers(displacement), dtype=torch.float64),
        torch.tensor([(layer.plane.level, *layer.plane.slope) for layer in layers], dtype=torch.float64),
        torch.tensor([frame, *(layer.extent for layer in layers)]),
        torch.tensor([picture.data_ptr() for picture in pictures]),
        torch.tensor(edge, dtype=torch.float64),
    )
    library.jdrl_displaced(*map(Tensor.data_ptr, (*numbers, light)), len(layers), margin)
    return light


def _numbers(displacement: Displacement) -> list[float]:
    """In the order of ``cpp/displacement.h``."""
    return [
        displacement.zoom,
        *displacement.axis,
        *displacement.shift,
        *displacement.parallax,
        displacement.smooth / math.sqrt(3),
        *displacement.waves.flatten().tolist(),
        *displacement.phases.flatten().tolist(),
        CONVERGED_PX,
    ]
