"""Reblur an image with per-pixel isotropic kernels (Eq. 7-9), exactly, without building one kernel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from jdrl_lightning.reblur.custom_op import fused_reblur

__all__ = ["reblur"]


def reblur(
    image: Tensor,
    seeds: Tensor,
    weights: Tensor,
    levels: int = 8,
    support: str = "square",
    padding: str = "zeros",
    absolute: bool = True,
) -> Tensor:
    """Blur each pixel with a mixture of isotropic kernels of sizes 1, 3, 5, …, ``2 levels - 1``.

    ``out = W_1 image + Σ_{i=2..levels} W_i (k_i * image)``, ``k_i`` the softmax of Eq. 7.

    Args:
        image: ``(B, C, H, W)``, any float dtype; half precision is computed in float32.
        seeds: raw network output, ``(B, Σ_{i=2..levels} i, H, W)``: 2 channels for level 2, …, ``levels`` for the last.
        weights: weight maps, softmaxed over dim 1, ``(B, levels, H, W)``; channel 0 belongs to the unblurred image.
        levels: ``m`` of the paper, at least 2; the largest radius is ``levels - 1`` px.
        support: ``square`` (elements beyond the radius keep logit 0) or ``disk`` (they have no weight).
        padding: what lies beyond the image: ``zeros`` (the published code) or ``reflect``.
        absolute: take ``|seeds|`` first.

    Returns:
        ``(B, C, H, W)`` in the image's dtype, differentiable once in all three tensors.

    Raises:
        ValueError: a shape or a setting does not fit.

    Source: Li et al., AAAI 2023, Eq. 7-9.
    """
    check(image, seeds, weights, levels, padding, channels=sum(range(2, levels + 1)), name="seeds")
    if support not in ("square", "disk"):
        raise ValueError(f"support={support!r} is none of square, disk")
    padded = pad(image.to(compute_dtype(image, seeds, weights)), levels - 1, padding)
    return fused_reblur(padded, seeds, weights, support, absolute).to(image.dtype)


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
