"""Isotropic blur kernels from a few radial values (Eq. 7): the weight of an element depends on its radius alone."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.reblur.kernel_geometry import check_support, ring_counts, squared_radii
from jdrl_lightning.runtime.device_constants import constant

__all__ = ["KernelWeights", "ScaleMaps", "isotropic_kernel", "kernel_weights", "mean_radius", "split_scales"]


class KernelWeights(NamedTuple):
    """The softmax of one level, one value per radius instead of one per kernel element.

    Attributes:
        rings: ``(B, R, H, W)``, weight of *one* element at each of the ``R`` radii ``sqrt(squared_radii(level))``.
        corner: ``(B, 1, H, W)``, weight of *one* element beyond radius ``level - 1``; zero with ``support="disk"``.
    """

    rings: Tensor
    corner: Tensor


class ScaleMaps(NamedTuple):
    """The maps of one scale.

    Attributes:
        seeds: ``(B, Σ_{i=2..levels} i, H, W)``.
        weights: ``(B, levels, H, W)``; ``(B, levels - 1, H, W)``, without the unblurred image, beyond the finest scale.
    """

    seeds: Tensor
    weights: Tensor


def split_scales(seeds: Tensor, weights: Tensor, levels: int, scales: int) -> list[ScaleMaps]:
    """Split the maps of :func:`.operator.reblur` by scale, finest first."""
    per_scale = weights.split([levels, *[levels - 1] * (scales - 1)], dim=1)
    return [ScaleMaps(*maps) for maps in zip(seeds.chunk(scales, dim=1), per_scale, strict=True)]


def split_levels(seeds: Tensor, levels: int) -> tuple[Tensor, ...]:
    """Split ``(B, Σ i, H, W)`` into the seeds of level 2 (two channels), …, level ``levels`` (that many channels)."""
    return torch.split(seeds, list(range(2, levels + 1)), dim=1)


def kernel_weights(seed: Tensor, support: str = "square", absolute: bool = True) -> KernelWeights:
    """Softmax of Eq. 7 over all ``(2 i - 1)²`` elements, one value per radius.

    ``logit(ρ) = (⌈ρ⌉ - ρ) a_⌊ρ⌋ + (ρ - ⌊ρ⌋) a_⌈ρ⌉``, with ``a_ρ`` itself at an integer radius.

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
    check_support(support)
    level = seed.shape[1]
    radial = seed.abs() if absolute else seed
    # Interpolation is affine, so the largest logit is at an integer radius and can be subtracted before interpolating.
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
    """Blur kernels of one level, one per pixel: non-negative, sum 1, invariant to flips and quarter turns.

    Args:
        seed: radial logits, ``(B, i, H, W)``, ``i >= 2``.
        support: ``square`` or ``disk``, as in :func:`kernel_weights`.
        absolute: take ``|seed|`` first.

    Returns:
        ``(B, (2 i - 1)², H, W)``, row-major. :func:`.operator.reblur` applies the same kernels without the memory that
        building them takes.

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
    seeds: Tensor,
    weights: Tensor,
    levels: int = 8,
    support: str = "square",
    absolute: bool = True,
    scales: int = 1,
) -> Tensor:
    """Expected distance between a pixel and where its reblurred light comes from, px: ``Σ_s 2^s Σ_i w_si Σ k_si ρ``.

    The unblurred image counts as radius 0; the blur of down- and upsampling is ignored.

    Args:
        seeds: see :func:`.operator.reblur`.
        weights: see :func:`.operator.reblur`.
        levels: see :func:`.operator.reblur`.
        support: see :func:`.operator.reblur`.
        absolute: see :func:`.operator.reblur`.
        scales: see :func:`.operator.reblur`.

    Returns:
        ``(B, 1, H, W)``, px, at least 0.
    """
    total = torch.zeros_like(weights[:, :1])
    for scale, maps in enumerate(split_scales(seeds, weights, levels, scales)):
        blurred = maps.weights[:, 1 - levels :]  # without the unblurred image
        radius = torch.zeros_like(total)
        for i, seed in enumerate(split_levels(maps.seeds, levels)):
            kernel = kernel_weights(seed, support, absolute)
            rings, corners = (constant(sums, seed).view(1, -1, 1, 1) for sums in _distance_sums(i + 2))
            distance = (kernel.rings * rings).sum(dim=1, keepdim=True) + kernel.corner * corners
            radius = radius + blurred[:, i : i + 1] * distance
        total = total + 2**scale * radius
    return total


@lru_cache
def _distance_sums(level: int) -> tuple[tuple[float, ...], tuple[float]]:
    """The sum of the distances from the centre of all elements of each ring, and of those beyond."""
    side = range(1 - level, level)
    rings = tuple(n * math.sqrt(s) for n, s in zip(ring_counts(level), squared_radii(level), strict=True))
    return rings, (sum(math.hypot(x, y) for x in side for y in side) - sum(rings),)


def _interpolate(radial: Tensor, level: int) -> Tensor:
    """``(B, i, H, W)`` at integer radii to ``(B, R, H, W)`` at every radius of the level."""
    parts = [
        torch.lerp(radial[:, k : k + 1], radial[:, k + 1 : k + 2], fractions(level, k, radial))
        for k in range(level - 1)
    ]
    return torch.cat([*parts, radial[:, -1:]], dim=1)


def fractions(level: int, k: int, like: Tensor) -> Tensor:
    """``ρ - k`` for the radii ``ρ`` in ``[k, k + 1)``, ``(1, n, 1, 1)``; they are consecutive in ``squared_radii``."""
    found = [squared**0.5 - k for squared in squared_radii(level) if k * k <= squared < (k + 1) ** 2]
    return torch.tensor(found, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)
