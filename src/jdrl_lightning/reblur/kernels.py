"""Isotropic blur kernels from a few radial values (Eq. 7): the weight of an element depends on its radius alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.reblur.kernel_geometry import ring_counts, squared_radii

__all__ = [
    "KernelWeights",
    "isotropic_kernel",
    "kernel_weights",
    "mean_radius",
    "split_levels",
]


class KernelWeights(NamedTuple):
    """The softmax of one level, written once for each radius instead of once for each kernel element.

    Attributes:
        rings: ``(B, R, H, W)``, weight of *one* element at each of the ``R`` radii ``sqrt(squared_radii(level))``.
        corner: ``(B, 1, H, W)``, weight of *one* element beyond radius ``level - 1``; zero with ``support="disk"``.
    """

    rings: Tensor
    corner: Tensor


def split_levels(seeds: Tensor, levels: int) -> tuple[Tensor, ...]:
    """Split ``(B, Σ i, H, W)`` into the seeds of level 2 (two channels), …, level ``levels`` (that many channels)."""
    return torch.split(seeds, list(range(2, levels + 1)), dim=1)


def kernel_weights(seed: Tensor, support: str = "square", absolute: bool = True) -> KernelWeights:
    """Softmax of Eq. 7 over all ``(2 i - 1)²`` elements, one value a radius.

    ``logit(ρ) = (⌈ρ⌉ - ρ) a_⌊ρ⌋ + (ρ - ⌊ρ⌋) a_⌈ρ⌉``, with ``a_ρ`` itself at a whole radius.

    Args:
        seed: ``a_0 … a_{i-1}``, the logits at radius 0, 1, …, i-1 px, ``(B, i, H, W)``, ``i >= 2``.
        support: ``square``: elements beyond radius ``i - 1`` have logit 0; ``disk``: they have no weight.
        absolute: take ``|a|`` first.

    Raises:
        ValueError: ``seed`` is not 4-dimensional with two channels or more, or ``support`` is unknown.

    Source: Li et al., AAAI 2023, Eq. 7, whose last branch is misprinted (negated and swapped); the published code
    interpolates as here, takes the absolute value and leaves the corners at logit 0, hence a positive weight.
    """
    if seed.ndim != 4 or seed.shape[1] < 2:
        raise ValueError(f"seed must be (B, i, H, W) with i >= 2, got {tuple(seed.shape)}")
    if support not in ("square", "disk"):
        raise ValueError(f"support={support!r} is none of square, disk")
    level = seed.shape[1]
    radial = seed.abs() if absolute else seed
    # Interpolation is affine, so that the largest logit is at a whole radius and can be taken off before interpolating.
    top = radial.detach().amax(dim=1, keepdim=True)
    if support == "square":
        top = top.clamp(min=0)  # the corners' logit
    rings = _interpolate(radial - top, level).exp()
    counts = torch.tensor(ring_counts(level), dtype=seed.dtype, device=seed.device).view(1, -1, 1, 1)
    total = (rings * counts).sum(dim=1, keepdim=True)
    if support == "disk":
        return KernelWeights(rings / total, torch.zeros_like(total))
    corner = torch.exp(-top)
    total = total + ((2 * level - 1) ** 2 - sum(ring_counts(level))) * corner
    return KernelWeights(rings / total, corner / total)


def isotropic_kernel(seed: Tensor, support: str = "square", absolute: bool = True) -> Tensor:
    """Blur kernels of one level, one for each pixel: non-negative, sum 1, unchanged by flips and quarter turns.

    Args:
        seed: radial logits, ``(B, i, H, W)``, ``i >= 2``.
        support: ``square`` or ``disk``, as in :func:`kernel_weights`.
        absolute: take ``|seed|`` first.

    Returns:
        ``(B, (2 i - 1)², H, W)``, row-major. Memory grows with the element count: :func:`.operator.reblur` applies
        the same kernels without building them.

    Raises:
        ValueError: as :func:`kernel_weights`.

    Source: Li et al., AAAI 2023, Eq. 7 and the softmax after it.
    """
    weights = kernel_weights(seed, support, absolute)
    level = seed.shape[1]
    radii = squared_radii(level)
    side = range(1 - level, level)
    squared = [x * x + y * y for y in side for x in side]
    index = [radii.index(s) if s <= radii[-1] else len(radii) for s in squared]
    return torch.cat([weights.rings, weights.corner], dim=1)[:, index]


def mean_radius(
    seeds: Tensor, weights: Tensor, levels: int = 8, support: str = "square", absolute: bool = True
) -> Tensor:
    """Expected distance, in pixels, between a pixel and where its reblurred light comes from.

    ``Σ_i W_i Σ_elements k_i ρ``; the unblurred level counts as radius 0.

    Args:
        seeds: all levels, ``(B, Σ_{i=2..levels} i, H, W)``.
        weights: softmaxed weight maps, ``(B, levels, H, W)``, channel 0 for the unblurred image.
        levels: ``m`` of the paper.
        support: ``square`` or ``disk``.
        absolute: take ``|seeds|`` first.

    Returns:
        ``(B, 1, H, W)``, pixels, at least 0.
    """
    radius = torch.zeros_like(weights[:, :1])
    for level, seed in enumerate(split_levels(seeds, levels), start=2):
        kernel = isotropic_kernel(seed, support, absolute)
        axis = torch.arange(1 - level, level, dtype=kernel.dtype, device=kernel.device)
        distance = torch.hypot(axis[:, None], axis[None, :]).view(1, -1, 1, 1)
        radius = radius + weights[:, level - 1 : level] * (kernel * distance).sum(dim=1, keepdim=True)
    return radius


def _interpolate(radial: Tensor, level: int) -> Tensor:
    """``(B, i, H, W)`` at whole radii to ``(B, R, H, W)`` at every radius of the level."""
    parts = [
        torch.lerp(radial[:, k : k + 1], radial[:, k + 1 : k + 2], fractions(level, k, radial))
        for k in range(level - 1)
    ]
    return torch.cat([*parts, radial[:, -1:]], dim=1)


def fractions(level: int, k: int, like: Tensor) -> Tensor:
    """``ρ - k`` for the radii in ``[k, k + 1)``, ``(1, n, 1, 1)``: a run of neighbours in ``squared_radii``."""
    found = [squared**0.5 - k for squared in squared_radii(level) if k * k <= squared < (k + 1) ** 2]
    return torch.tensor(found, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)
