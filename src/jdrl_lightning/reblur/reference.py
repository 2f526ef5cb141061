"""The reblurring operator in plain PyTorch: exact, any device and dtype. The fast kernels are tested against it.

A kernel weight depends on the radius alone. So the weights of all levels are summed per radius first, and the shifted
copies of the image that share a weight are summed before they are weighted. The work is done in strips of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.reblur.enlarging import enlarge, enlarge_adjoint
from jdrl_lightning.reblur.kernel_geometry import Orbit, corner_levels, orbits, ring_counts, squared_radii
from jdrl_lightning.reblur.kernel_interface import ReblurInputs
from jdrl_lightning.reblur.kernels import KernelWeights, fractions, kernel_weights, split_levels

__all__ = ["backward", "forward"]

# Pixels of a strip: few enough to stay in a CPU's cache, enough to keep an accelerator busy.
STRIP_PIXELS = {"cpu": 1 << 14}
STRIP_PIXELS_ELSEWHERE = 1 << 18


def forward(inputs: ReblurInputs) -> Tensor:
    """See :class:`.ReblurKernel`."""
    inputs = _enlarged(inputs)
    out = inputs.padded.new_zeros(inputs.output_shape)
    for strip in _strips(inputs.weights):
        part = strip.of(inputs)
        _, summed = _sum_levels(part)
        folded = _fold_columns(part.padded, part.weights.shape[3])
        target = strip.view(out)
        gathered = torch.empty_like(target)
        for orbit in orbits(part.levels, part.support):
            _gather(folded, orbit, out=gathered)
            target.addcmul_(_orbit_weight(orbit, summed, part.levels, part.support), gathered)
    return out


def backward(grad_out: Tensor, inputs: ReblurInputs, need_image: bool, need_maps: bool) -> list[Tensor]:
    """See :class:`.ReblurKernel`; the kernels are computed again, strip by strip."""
    given, inputs = inputs, _enlarged(inputs)
    levels, support, reach = inputs.levels, inputs.support, inputs.levels - 1
    grad_padded = torch.zeros_like(inputs.padded)
    grad_seeds, grad_weights = (maps.new_empty(maps.shape) for maps in (inputs.seeds, inputs.weights))
    for strip in _strips(inputs.weights):
        part = strip.of(inputs)
        per_level, summed = _sum_levels(part)
        grad = strip.read(grad_out, inputs.padded.dtype)
        folded = _fold_columns(part.padded, part.weights.shape[3])
        grad_folded = [torch.zeros_like(columns) for columns in folded] if need_image else []
        grad_summed = torch.zeros_like(summed)
        scratch = torch.empty_like(grad)
        for orbit in orbits(levels, support):
            if need_maps:
                _gather(folded, orbit, out=scratch)
                share = scratch.mul_(grad).sum(dim=1)
                for channel in _channels(orbit, levels, support):
                    grad_summed[:, channel] += share
            if need_image:
                torch.mul(grad, _orbit_weight(orbit, summed, levels, support), out=scratch)
                for dx, dy in orbit.shifts:
                    if dx >= 0:
                        grad_folded[dx][:, :, reach + dy : reach + dy + grad.shape[2]] += scratch
        if need_image:
            _unfold_columns(grad_folded, strip.halo(grad_padded))
        if need_maps:
            for_seeds, for_weights = _level_gradients(part, per_level, grad_summed)
            strip.view(grad_seeds).copy_(for_seeds)
            strip.view(grad_weights).copy_(for_weights)
    for_image = [grad_padded] if need_image else []
    if not need_maps:
        return for_image
    grad_maps = (enlarge_adjoint(grad, given.stride) for grad in (grad_seeds, grad_weights))
    return [*for_image, *(grad.to(maps.dtype) for grad, maps in zip(grad_maps, given[1:3], strict=True))]


def _enlarged(inputs: ReblurInputs) -> ReblurInputs:
    """The same call with maps of the image's size."""
    if inputs.stride == 1:
        return inputs
    _, _, height, width = inputs.output_shape
    seeds, weights = (
        enlarge(maps.to(inputs.padded.dtype), inputs.stride, height, width) for maps in (inputs.seeds, inputs.weights)
    )
    return inputs._replace(seeds=seeds, weights=weights, stride=1)


class _Strip(NamedTuple):
    """Some rows of some images; ``halo_rows`` are the rows of the padded image that they depend on."""

    images: slice
    rows: slice
    halo_rows: slice

    def view(self, tensor: Tensor) -> Tensor:
        return tensor[self.images, :, self.rows]

    def read(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        return self.view(tensor).to(dtype).contiguous()

    def halo(self, padded: Tensor) -> Tensor:
        return padded[self.images, :, self.halo_rows]

    def of(self, inputs: ReblurInputs) -> ReblurInputs:
        """The operator's inputs for the strip alone, all in the image's dtype."""
        seeds, weights = (self.read(maps, inputs.padded.dtype) for maps in (inputs.seeds, inputs.weights))
        return inputs._replace(padded=self.halo(inputs.padded), seeds=seeds, weights=weights)


def _strips(weights: Tensor) -> Iterator[_Strip]:
    batch, levels, height, width = weights.shape
    halo = 2 * (levels - 1)
    pixels = STRIP_PIXELS.get(weights.device.type, STRIP_PIXELS_ELSEWHERE)
    n_images = max(1, pixels // max(1, height * width))
    n_rows = min(height, max(halo, pixels // max(1, width)))  # a thinner strip would be mostly halo
    for image in range(0, batch, n_images):
        for top in range(0, height, n_rows):
            bottom = min(height, top + n_rows)
            yield _Strip(slice(image, image + n_images), slice(top, bottom), slice(top, bottom + halo))


def _sum_levels(part: ReblurInputs) -> tuple[list[KernelWeights], Tensor]:
    """The kernel weights of each level, and ``Σ_i W_i k_i``.

    The sum is ``(B, R + levels - 1, h, W)``: the radii first, then the corner of each level.
    """
    weights, levels = part.weights, part.levels
    per_level = [kernel_weights(seed, part.support, part.absolute) for seed in split_levels(part.seeds, levels)]
    n_rings = per_level[-1].rings.shape[1]
    summed = weights.new_zeros(weights.shape[0], n_rings + levels - 1, *weights.shape[2:])
    summed[:, 0] = weights[:, 0]
    for i, level in enumerate(per_level, start=1):
        weight = weights[:, i : i + 1]
        summed[:, : level.rings.shape[1]].addcmul_(level.rings, weight)
        torch.mul(level.corner, weight, out=summed[:, n_rings + i - 1 : n_rings + i])
    return per_level, summed


def _level_gradients(part: ReblurInputs, per_level: list[KernelWeights], grad_summed: Tensor) -> tuple[Tensor, Tensor]:
    """From the gradient of the summed weights to those of the seeds and of the weight maps."""
    seeds, weights = part.seeds, part.weights
    grad_seeds, grad_weights = torch.zeros_like(seeds), torch.empty_like(weights)
    grad_weights[:, 0] = grad_summed[:, 0]
    n_rings = per_level[-1].rings.shape[1]
    for i, (level, into) in enumerate(zip(per_level, split_levels(grad_seeds, part.levels), strict=True), start=1):
        size = i + 1
        grad_rings = grad_summed[:, : level.rings.shape[1]]
        blurred = (level.rings * grad_rings).sum(dim=1) + level.corner[:, 0] * grad_summed[:, n_rings + i - 1]
        grad_weights[:, i] = blurred
        # softmax over elements, written per radius: each of the n elements of a ring lowers the mean
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
    return (grad_seeds * seeds.sign() if part.absolute else grad_seeds), grad_weights


def _channels(orbit: Orbit, levels: int, support: str) -> list[int]:
    """The channels of the summed weights that apply to the orbit."""
    radii = squared_radii(levels)
    ring = [radii.index(orbit.squared)] if orbit.squared <= radii[-1] else []
    return ring + ([len(radii) + n - 2 for n in corner_levels(orbit, levels)] if support == "square" else [])


def _orbit_weight(orbit: Orbit, summed: Tensor, levels: int, support: str) -> Tensor:
    first, *others = _channels(orbit, levels, support)
    weight = summed[:, first : first + 1]
    for channel in others:
        weight = weight + summed[:, channel : channel + 1]
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


def _gather(folded: list[Tensor], orbit: Orbit, out: Tensor) -> None:
    """The image summed over the elements of the orbit."""
    reach = len(folded) - 1
    shifts = [(dx, dy) for dx, dy in orbit.shifts if dx >= 0]  # folded contains the mirrored columns too
    first, *others = (folded[dx][:, :, reach + dy : reach + dy + out.shape[2]] for dx, dy in shifts)
    if others:
        torch.add(first, others[0], out=out)
    else:
        out.copy_(first)
    for shifted in others[1:]:
        out += shifted
