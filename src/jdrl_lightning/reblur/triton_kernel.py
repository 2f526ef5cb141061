"""The reblurring operator in Triton, for CUDA: float32, deterministic.

Besides inputs and results, the backward holds the summed kernel weights: 36 float32 per pixel at 8 levels. For coarse
maps it also holds their gradients at the image's resolution, another 43, in a strip of rows at a time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from jdrl_lightning.reblur.kernel_interface import ReblurInputs
from jdrl_lightning.reblur.triton_backward import image_kernel, maps_kernel, shrink_kernel
from jdrl_lightning.reblur.triton_forward import forward_kernel

__all__ = ["backward", "forward"]

ROWS, COLUMNS = 4, 32  # a tile: one pixel per thread
STRIP_PIXELS = 1 << 18  # of the whole batch: enough to keep a GPU busy, 43 MiB of gradients
LAUNCH: dict[str, Any] = {"ROWS": ROWS, "COLUMNS": COLUMNS, "num_warps": 4, "num_stages": 1}


def forward(inputs: ReblurInputs) -> Tensor:
    """See :class:`.ReblurKernel`; seeds and weights are read in their own dtype."""
    padded, seeds, weights, support, absolute, stride = inputs.map(Tensor.contiguous)
    batch, channels, height, width = inputs.output_shape
    out = padded.new_empty(inputs.output_shape)
    if out.numel():
        settings = {"LEVELS": inputs.levels, "SQUARE": support == "square", "ABSOLUTE": absolute, "STRIDE": stride}
        with torch.cuda.device_of(padded):
            forward_kernel[_grid(height, width, batch)](
                padded, seeds, weights, out, channels, height, width, **settings, **LAUNCH
            )
    return out


def backward(grad_out: Tensor, inputs: ReblurInputs, need_image: bool, need_maps: bool) -> list[Tensor]:
    """See :class:`.ReblurKernel`; bit-identical in every run, since there are no atomic additions."""
    grad_out, (padded, seeds, weights, support, absolute, stride) = grad_out.contiguous(), inputs.map(Tensor.contiguous)
    (batch, channels, height, width), levels = inputs.output_shape, inputs.levels
    grad_maps = enlarged = [maps.new_empty(maps.shape if need_maps else 0) for maps in (seeds, weights)]
    strip = max(1, height)
    if coarse := need_maps and stride > 1:
        strip = min(strip, max(1, STRIP_PIXELS // max(1, batch * width)))
        grad_maps = [padded.new_zeros(maps.shape) for maps in (seeds, weights)]  # float32: strips add to them
        enlarged = [padded.new_empty(batch, maps.shape[1], strip, width) for maps in (seeds, weights)]
    grad_padded = padded.new_zeros(padded.shape if need_image else 0)
    n_orbits = levels * (levels + 1) // 2 if need_image else 0
    mixtures = padded.new_empty(batch, n_orbits, height, width)
    if grad_out.numel():
        settings = {"LEVELS": levels, "SQUARE": support == "square"}
        needs = {"ABSOLUTE": absolute, "STRIDE": stride, "NEED_IMAGE": need_image, "NEED_MAPS": need_maps}
        with torch.cuda.device_of(padded):
            for top in range(0, height, strip):
                rows = min(strip, height - top)
                maps_kernel[_grid(rows, width, batch)](
                    *(grad_out, padded, seeds, weights, *enlarged, mixtures, channels, height, width, top, rows),
                    **(settings | needs | LAUNCH),
                )
                for full, grad in zip(enlarged, grad_maps, strict=True) if coarse else ():
                    first = max(0, 2 * top + 1 - stride) // (2 * stride)  # as in triton_enlarging.between
                    last = max(0, 2 * (top + rows) - 1 - stride) // (2 * stride) + 1
                    count = min(last + 1, grad.shape[2]) - first
                    shrink_kernel[_grid(count, grad.shape[3], batch * grad.shape[1])](
                        full, grad, height, width, top, rows, first, count, STRIDE=stride, **LAUNCH
                    )
            if need_image:
                image_kernel[_grid(padded.shape[2], padded.shape[3], batch * channels)](
                    grad_out, mixtures, grad_padded, channels, height, width, **settings, **LAUNCH
                )
    grads = [grad.to(maps.dtype) for grad, maps in zip(grad_maps, (seeds, weights), strict=True)]
    return [grad_padded] * need_image + grads * need_maps


def _grid(height: int, width: int, images: int) -> tuple[int, int]:
    return -(-height // ROWS) * -(-width // COLUMNS), images
