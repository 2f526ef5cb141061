"""Maps on a grid ``stride`` times coarser than the image: their size, their bilinear enlarging, and its adjoint."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["coarse_size", "enlarge", "enlarge_adjoint"]


def coarse_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the maps for an image ``height`` × ``width``."""
    return -(-height // stride), -(-width // stride)


def enlarge(maps: Tensor, stride: int, height: int, width: int) -> Tensor:
    """``(B, C, ⌈H / stride⌉, ⌈W / stride⌉)`` to ``(B, C, H, W)``; with stride 1 the maps themselves."""
    if stride == 1:
        return maps
    return F.interpolate(maps, scale_factor=stride, mode="bilinear")[..., :height, :width]


def enlarge_adjoint(grad: Tensor, stride: int) -> Tensor:
    """From the gradient of :func:`enlarge`'s result, ``(B, C, H, W)``, to that of its maps.

    By PyTorch's own backward pass, called directly: within a custom operator autograd records nothing.
    """
    if stride == 1:
        return grad
    batch, channels, height, width = grad.shape
    rows, columns = coarse_size(height, width, stride)
    whole = F.pad(grad, (0, columns * stride - width, 0, rows * stride - height))
    size, scale = [batch, channels, rows, columns], float(stride)
    backward = torch.ops.aten.upsample_bilinear2d_backward
    result: Tensor = backward(whole, whole.shape[-2:], size, False, scale, scale)
    return result
