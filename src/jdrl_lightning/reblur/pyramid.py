"""Reblurring beyond seven pixels: the same operator on halved images too (ours; the paper has one scale)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.reblur.kernels import mean_radius
from jdrl_lightning.reblur.operator import reblur

__all__ = ["radius_pyramid", "reblur_pyramid"]


def reblur_pyramid(
    image: Tensor,
    seeds: Tensor,
    weights: Tensor,
    levels: int = 8,
    scales: int = 2,
    support: str = "square",
    padding: str = "zeros",
) -> Tensor:
    """``Σ_i w_i (k_i ∗ image) + Σ_s W_s · up(Σ_i w_si (k_si ∗ down_s(image)))``; scale s reaches ``2^s`` as far.

    All weights of a pixel sum to one. On a halved image the levels are mixed with weights averaged like it, and the
    result counts with the scale's whole weight ``W_s`` at full resolution, so that a constant image stays constant.

    Args:
        image: ``(B, C, H, W)``.
        seeds: ``(B, scales · Σ_{i=2..levels} i, H, W)``, finest scale first.
        weights: ``(B, levels + (scales − 1)(levels − 1), H, W)``, softmaxed over dim 1; only the finest scale has the
            unblurred image.
        levels: see :func:`reblur`.
        scales: 1 is :func:`reblur` itself; each further one halves the resolution.
        support: see :func:`reblur`.
        padding: see :func:`reblur`.

    Returns:
        ``(B, C, H, W)``.
    """
    height, width = image.shape[-2:]
    per_scale = seeds.chunk(scales, dim=1)
    finest, *coarser = weights.split([levels, *[levels - 1] * (scales - 1)], dim=1)
    result = reblur(image, per_scale[0], finest, levels, support, padding)
    for scale, (own_seeds, own_weights) in enumerate(zip(per_scale[1:], coarser, strict=True), 1):
        small, small_seeds, small_weights = (_reduced(x, 2**scale) for x in (image, own_seeds, own_weights))
        share = small_weights / small_weights.sum(1, keepdim=True).clamp_min(1e-12)
        share = torch.cat([torch.zeros_like(share[:, :1]), share], dim=1)
        blurred = reblur(small, small_seeds, share, levels, support, padding)
        enlarged = F.interpolate(blurred, scale_factor=2**scale, mode="bilinear")[..., :height, :width]
        result = result + own_weights.sum(1, keepdim=True) * enlarged
    return result


def radius_pyramid(seeds: Tensor, weights: Tensor, levels: int = 8, scales: int = 2, support: str = "square") -> Tensor:
    """Expected distance, px, between a pixel and where its reblurred light comes from: ``Σ_s 2^s Σ_i w_si r_si``.

    ``r`` is that of :func:`.kernels.mean_radius`; what halving and enlarging blur by themselves is left out.

    Args:
        seeds: as in :func:`reblur_pyramid`.
        weights: as in :func:`reblur_pyramid`.
        levels: see :func:`reblur`.
        scales: see :func:`reblur_pyramid`.
        support: see :func:`reblur`.

    Returns:
        ``(B, 1, H, W)``, at least 0.
    """
    finest, *coarser = weights.split([levels, *[levels - 1] * (scales - 1)], dim=1)
    unblurred = torch.zeros_like(finest[:, :1])
    mixtures = [finest, *(torch.cat([unblurred, own], dim=1) for own in coarser)]
    radius = unblurred
    for scale, (own_seeds, mixture) in enumerate(zip(seeds.chunk(scales, dim=1), mixtures, strict=True)):
        radius = radius + 2**scale * mean_radius(own_seeds, mixture, levels, support)
    return radius


def _reduced(image: Tensor, factor: int) -> Tensor:
    """Means over ``factor`` × ``factor`` pixels; what is missing at the right and below is left out of the mean."""
    return F.avg_pool2d(image, factor, ceil_mode=True, count_include_pad=False)
