"""What the reblurring operators ask of their tensors, the precision they compute in, and what lies beyond the image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["check", "compute_dtype", "pad"]


def check(image: Tensor, maps: Tensor, weights: Tensor, levels: int, padding: str, channels: int, name: str) -> None:
    """Raise a ``ValueError`` that names what does not fit; ``maps`` are called ``name`` and have that many channels."""
    if levels < 2:
        raise ValueError(f"levels={levels}: at least 2, the unblurred image and a 3×3 kernel")
    if padding not in ("zeros", "reflect"):
        raise ValueError(f"padding={padding!r} is none of zeros, reflect")
    if image.ndim != 4 or not image.is_floating_point():
        raise ValueError(f"image must be a float (B, C, H, W), got {image.dtype} {tuple(image.shape)}")
    batch, _, height, width = image.shape
    for label, tensor, count in ((name, maps, channels), ("weights", weights, levels)):
        if tuple(tensor.shape) != (batch, count, height, width):
            wanted, got = (batch, count, height, width), tuple(tensor.shape)
            raise ValueError(
                f"{label} must be {wanted} for levels={levels} and an image {tuple(image.shape)}, got {got}"
            )
    if padding == "reflect" and min(height, width) < levels:
        raise ValueError(f"padding='reflect' with levels={levels} needs an image of at least {levels} px a side")


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """The widest of the tensors' precisions, and float32 at least."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def pad(image: Tensor, reach: int, padding: str) -> Tensor:
    """``(B, C, H, W)`` to ``(B, C, H + 2 reach, W + 2 reach)``, ``zeros`` or ``reflect``."""
    if padding == "zeros":
        return F.pad(image.contiguous(), [reach] * 4)
    for dim in (-1, -2):  # by slices: the backward of F.pad's reflection is not deterministic on CUDA
        before, after = image.narrow(dim, 1, reach), image.narrow(dim, image.shape[dim] - 1 - reach, reach)
        image = torch.cat([before.flip(dim), image, after.flip(dim)], dim)
    return image.contiguous()
