"""Reblur an image with per-pixel isotropic kernels (Eq. 7-9), exactly, without building one kernel.

A kernel's weight depends on the radius alone. So every level's weights are added up per radius first, and the shifted
copies that share a weight are summed before they are weighted. Nothing but the inputs is kept for the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from jdrl_lightning.reblur.kernels import (
    KernelWeights,
    fractions,
    kernel_weights,
    ring_counts,
    split_levels,
    squared_radii,
)

__all__ = ["reblur", "reblur_free"]

# Pixels worked on at once: few enough to stay in a processor's cache, enough to keep an accelerator busy.
STRIP_PIXELS = {"cpu": 1 << 14}
STRIP_PIXELS_ELSEWHERE = 1 << 18


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
    _check(image, seeds, weights, levels, padding, channels=sum(range(2, levels + 1)), name="seeds")
    if support not in ("square", "disk"):
        raise ValueError(f"support={support!r} is none of square, disk")
    padded = _pad(image.to(_compute_dtype(image, seeds, weights)), levels - 1, padding)
    return _Reblur.apply(padded, seeds, weights, levels, support, absolute).to(image.dtype)


def reblur_free(image: Tensor, kernels: Tensor, weights: Tensor, levels: int = 8, padding: str = "zeros") -> Tensor:
    """Blur each pixel with a mixture of freely predicted kernels: the ablation without isotropy.

    ``out = W_1 image + Σ_{i=2..levels} W_i (softmax(kernels_i) * image)``.

    Args:
        image: ``(B, C, H, W)``.
        kernels: logits, ``(B, Σ_{i=2..levels} (2 i - 1)², H, W)``, 3² channels first, each kernel row-major.
        weights: as in :func:`reblur`.
        levels: ``m`` of the paper, at least 2.
        padding: ``zeros`` or ``reflect``.

    Returns:
        ``(B, C, H, W)`` in the image's dtype.

    Raises:
        ValueError: a shape or a setting does not fit.

    Source: Li et al., AAAI 2023, Table 4, variant #5.
    """
    sizes = [(2 * level - 1) ** 2 for level in range(2, levels + 1)]
    _check(image, kernels, weights, levels, padding, channels=sum(sizes), name="kernels")
    dtype, reach = _compute_dtype(image, kernels, weights), levels - 1
    height, width = image.shape[-2:]
    padded = _pad(image.to(dtype), reach, padding)
    out = weights[:, :1].to(dtype) * image.to(dtype)
    for level, logits in enumerate(torch.split(kernels, sizes, dim=1), start=2):
        # unbind, not indexing: the backward of an index writes a whole kernel's worth of zeros each time
        elements = iter((logits.to(dtype).softmax(dim=1) * weights[:, level - 1 : level].to(dtype)).unbind(dim=1))
        for dy in range(1 - level, level):
            rows = padded[:, :, reach + dy : reach + dy + height]
            for dx in range(1 - level, level):
                out = out + next(elements)[:, None] * rows[..., reach + dx : reach + dx + width]
    return out.to(image.dtype)


class _Orbit(NamedTuple):
    """Kernel elements that flips and the transpose carry into one another, so that they always share one weight.

    Attributes:
        shifts: ``(dx, dy)`` with ``dx >= 0``: the element and its mirror image at ``-dx`` together.
        channels: which channels of the summed weights (radii first, then one corner channel a level) apply to it.
    """

    shifts: tuple[tuple[int, int], ...]
    channels: tuple[int, ...]


@lru_cache
def _orbits(levels: int, support: str) -> tuple[_Orbit, ...]:
    radii = squared_radii(levels)
    found = []
    for a in range(levels):
        for b in range(a + 1):
            squared = a * a + b * b
            ring = [radii.index(squared)] if squared <= radii[-1] else []
            corner = [len(radii) + k - 1 for k in range(max(a, 1), levels) if k * k < squared]
            channels = ring + (corner if support == "square" else [])
            if channels:
                found.append(_Orbit(tuple(sorted({(a, b), (a, -b), (b, a), (b, -a)})), tuple(channels)))
    return tuple(found)


class _Reblur(torch.autograd.Function):
    """``(padded image, seeds, weights) -> reblurred``, in strips of rows; the backward computes each strip afresh."""

    @staticmethod
    def forward(
        ctx: Any, padded: Tensor, seeds: Tensor, weights: Tensor, levels: int, support: str, absolute: bool
    ) -> Tensor:
        ctx.save_for_backward(padded, seeds, weights)
        ctx.levels, ctx.support, ctx.absolute = levels, support, absolute
        batch, _, height, width = seeds.shape
        out = padded.new_zeros(batch, padded.shape[1], height, width)
        for strip in _strips(seeds, levels - 1):
            _, weight_maps = _summed_weights(
                strip.read(seeds, padded.dtype), strip.read(weights, padded.dtype), support, absolute
            )
            folded = _fold_columns(strip.halo(padded), width)
            target = strip.view(out)
            gathered = torch.empty_like(target)
            for orbit in _orbits(levels, support):
                _gather(folded, orbit, levels - 1, out=gathered)
                target.addcmul_(_weight_of(orbit, weight_maps), gathered)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        padded, seeds, weights = ctx.saved_tensors
        reach, width = ctx.levels - 1, seeds.shape[-1]
        need_image, need_maps = ctx.needs_input_grad[0], ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        grad_padded = torch.zeros_like(padded) if need_image else None
        grad_seeds, grad_weights = (torch.empty_like(seeds), torch.empty_like(weights)) if need_maps else (None, None)
        for strip in _strips(seeds, reach):
            seed_strip, weight_strip = strip.read(seeds, padded.dtype), strip.read(weights, padded.dtype)
            per_level, weight_maps = _summed_weights(seed_strip, weight_strip, ctx.support, ctx.absolute)
            grad = strip.read(grad_out, padded.dtype)
            folded = _fold_columns(strip.halo(padded), width)
            grad_folded = [torch.zeros_like(columns) for columns in folded] if need_image else []
            grad_maps = torch.zeros_like(weight_maps)
            scratch = torch.empty_like(grad)
            for orbit in _orbits(ctx.levels, ctx.support):
                if need_maps:
                    _gather(folded, orbit, reach, out=scratch)
                    share = scratch.mul_(grad).sum(dim=1)
                    for channel in orbit.channels:
                        grad_maps[:, channel] += share
                if need_image:
                    torch.mul(grad, _weight_of(orbit, weight_maps), out=scratch)
                    for dx, dy in orbit.shifts:
                        grad_folded[dx][:, :, reach + dy : reach + dy + grad.shape[2]] += scratch
            if grad_padded is not None:
                _unfold_columns(grad_folded, strip.halo(grad_padded))
            if grad_seeds is not None and grad_weights is not None:
                for_seeds, for_weights = _level_gradients(seed_strip, weight_strip, per_level, grad_maps, ctx.absolute)
                strip.view(grad_seeds).copy_(for_seeds)
                strip.view(grad_weights).copy_(for_weights)
        return grad_padded, grad_seeds, grad_weights, None, None, None


class _Strip(NamedTuple):
    """Some rows of some images; ``halo_rows`` are the rows of the padded image that they look at."""

    images: slice
    rows: slice
    halo_rows: slice

    def view(self, tensor: Tensor) -> Tensor:
        return tensor[self.images, :, self.rows]

    def read(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        return self.view(tensor).to(dtype).contiguous()

    def halo(self, padded: Tensor) -> Tensor:
        return padded[self.images, :, self.halo_rows]


def _strips(seeds: Tensor, reach: int) -> Iterator[_Strip]:
    batch, _, height, width = seeds.shape
    pixels = STRIP_PIXELS.get(seeds.device.type, STRIP_PIXELS_ELSEWHERE)
    n_images = max(1, pixels // (height * width))
    n_rows = min(height, max(2 * reach, pixels // width))  # thinner than its halo would be mostly halo
    for image in range(0, batch, n_images):
        for top in range(0, height, n_rows):
            bottom = min(height, top + n_rows)
            yield _Strip(slice(image, image + n_images), slice(top, bottom), slice(top, bottom + 2 * reach))


def _summed_weights(seeds: Tensor, weights: Tensor, support: str, absolute: bool) -> tuple[list[KernelWeights], Tensor]:
    """Each level's weights, and ``Σ_i W_i k_i``, ``(B, R + levels - 1, h, W)``: radii first, then a corner a level."""
    levels = weights.shape[1]
    per_level = [kernel_weights(seed, support, absolute) for seed in split_levels(seeds, levels)]
    n_rings = per_level[-1].rings.shape[1]
    summed = weights.new_zeros(weights.shape[0], n_rings + levels - 1, *weights.shape[2:])
    summed[:, 0] = weights[:, 0]
    for i, level in enumerate(per_level, start=1):
        weight = weights[:, i : i + 1]
        summed[:, : level.rings.shape[1]].addcmul_(level.rings, weight)
        torch.mul(level.corner, weight, out=summed[:, n_rings + i - 1 : n_rings + i])
    return per_level, summed


def _level_gradients(
    seeds: Tensor, weights: Tensor, per_level: list[KernelWeights], grad_maps: Tensor, absolute: bool
) -> tuple[Tensor, Tensor]:
    """From the gradient of the summed weights to that of the seeds and of the weight maps."""
    grad_seeds, grad_weights = torch.zeros_like(seeds), torch.empty_like(weights)
    grad_weights[:, 0] = grad_maps[:, 0]
    n_rings = per_level[-1].rings.shape[1]
    for i, (level, into) in enumerate(zip(per_level, split_levels(grad_seeds, weights.shape[1]), strict=True), start=1):
        size = i + 1
        grad_rings = grad_maps[:, : level.rings.shape[1]]
        blurred = (level.rings * grad_rings).sum(dim=1) + level.corner[:, 0] * grad_maps[:, n_rings + i - 1]
        grad_weights[:, i] = blurred
        # softmax over elements, written per radius: each of the n elements of a ring pulls the mean down
        counts = seeds.new_tensor(ring_counts(size)).view(1, -1, 1, 1)
        grad_logits = torch.addcmul(grad_rings, counts, blurred[:, None], value=-1)
        grad_logits.mul_(level.rings).mul_(weights[:, i : i + 1])
        start = 0
        for k in range(size - 1):
            outer = fractions(size, k, seeds)
            run = grad_logits[:, start : start + outer.shape[1]]
            far = (run * outer).sum(dim=1)
            into[:, k] += run.sum(dim=1) - far
            into[:, k + 1] += far
            start += outer.shape[1]
        into[:, -1] += grad_logits[:, -1]
    return (grad_seeds * seeds.sign() if absolute else grad_seeds), grad_weights


def _weight_of(orbit: _Orbit, weight_maps: Tensor) -> Tensor:
    first, *others = orbit.channels
    weight = weight_maps[:, first : first + 1]
    for channel in others:
        weight = weight + weight_maps[:, channel : channel + 1]
    return weight


def _fold_columns(padded: Tensor, width: int) -> list[Tensor]:
    """``image(x - dx) + image(x + dx)`` for ``dx = 0 … reach`` (at 0 the image once), ``(B, C, h + 2 reach, W)``."""
    reach = (padded.shape[-1] - width) // 2
    folded = [padded[..., reach : reach + width].contiguous()]
    for dx in range(1, reach + 1):
        folded.append(padded[..., reach - dx :][..., :width] + padded[..., reach + dx :][..., :width])
    return folded


def _unfold_columns(grad_folded: list[Tensor], grad_padded: Tensor) -> None:
    """Adjoint of :func:`_fold_columns`, added to ``grad_padded``."""
    reach, width = len(grad_folded) - 1, grad_folded[0].shape[-1]
    for dx, columns in enumerate(grad_folded):
        for start in {reach - dx, reach + dx}:
            grad_padded[..., start : start + width] += columns


def _gather(folded: list[Tensor], orbit: _Orbit, reach: int, out: Tensor) -> None:
    """Sum of the image over the orbit's elements."""
    first, *others = (folded[dx][:, :, reach + dy : reach + dy + out.shape[2]] for dx, dy in orbit.shifts)
    if others:
        torch.add(first, others[0], out=out)
    else:
        out.copy_(first)
    for shifted in others[1:]:
        out += shifted


def _compute_dtype(*tensors: Tensor) -> torch.dtype:
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _pad(image: Tensor, reach: int, padding: str) -> Tensor:
    return F.pad(image.contiguous(), [reach] * 4, mode="reflect" if padding == "reflect" else "constant")


def _check(image: Tensor, maps: Tensor, weights: Tensor, levels: int, padding: str, channels: int, name: str) -> None:
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
