"""The blur of a layer by C++; see :func:`.blur_by_kernels`, which has the same in torch."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import torch
from torch import Tensor

from jdrl_lightning.data.synthetic.regions import Box
from jdrl_lightning.data.synthetic.scene import Layer

__all__ = ["blend_under"]

POINT = torch.ones(1, 1, dtype=torch.float64)  # radius 0 leaves the picture


def blend_under(
    library: ctypes.CDLL,
    light: Tensor,
    passing: Tensor,
    layer: Layer,
    frame: Box,
    seen: Box,
    radii: Tensor,
    kernel: Callable[[int], Tensor],
    at: int,
    opaque: bool,
) -> None:
    """Blend a blurred layer under what is before it, in place.

    Args:
        light: ``(3, h, w)`` of ``frame``, float32, contiguous, in pixels of ``at`` master pixels a side.
        passing: ``(h, w)``, likewise, the share of the light from behind that passes.
        seen: the part of the frame that the layer reaches, whole pixels.
        radii: of that part, master pixels, each pixel's own.
        kernel: the aperture's picture at a whole radius.
        opaque: the layer covers all that is seen, and what is blurred into it.
    """
    least, most = (float(bound) for bound in radii.aminmax())
    lowest = math.floor(least)
    kernels = [kernel(step) if step else POINT for step in range(lowest, math.ceil(most) + 1)]
    rgba = layer.rgba.contiguous()
    tensors = (
        rgba,
        torch.tensor([frame, layer.extent, seen]),
        radii.contiguous(),
        torch.cat([table.flatten() for table in kernels]),
        torch.tensor([len(table) for table in kernels]),
        light,
        passing,
    )
    library.jdrl_defocused(*map(Tensor.data_ptr, tensors), len(kernels), lowest, at, opaque)
