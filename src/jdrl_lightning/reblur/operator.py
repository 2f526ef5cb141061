"""Reblur an image with per-pixel isotropic kernels (Eq. 7-9), exactly, without building one kernel."""

from __future__ import annotations

from torch import Tensor

from jdrl_lightning.reblur.free import reblur_free
from jdrl_lightning.reblur.fused import fused_reblur
from jdrl_lightning.reblur.inputs import check, compute_dtype, pad

__all__ = ["reblur", "reblur_free"]


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
