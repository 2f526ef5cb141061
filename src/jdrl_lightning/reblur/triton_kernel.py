"""The Triton form of the reblurring operator, for CUDA.

Beside inputs and results, the backward holds the summed weights of the kernel's elements: 36 float32 a pixel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from jdrl_lightning.reblur.triton_backward import image_kernel, maps_kernel
from jdrl_lightning.reblur.triton_kernels import forward_kernel

__all__ = ["backward", "forward"]

ROWS, COLUMNS = 4, 32  # a tile: one pixel a thread
LAUNCH: dict[str, Any] = {"ROWS": ROWS, "COLUMNS": COLUMNS, "num_warps": 4, "num_stages": 1}


def forward(padded: Tensor, seeds: Tensor, weights: Tensor, support: str, absolute: bool) -> Tensor:
    """As :func:`.reference.forward`; seeds and weights may be of any float type."""
    padded, seeds, weights = padded.contiguous(), seeds.contiguous(), weights.contiguous()
    (batch, levels, height, width), channels = weights.shape, padded.shape[1]
    out = padded.new_empty(batch, channels, height, width)
    if out.numel():
        settings = {"LEVELS": levels, "SQUARE": support == "square", "ABSOLUTE": absolute}
        with torch.cuda.device_of(padded):
            forward_kernel[_grid(height, width, batch)](
                padded, seeds, weights, out, channels, height, width, **settings, **LAUNCH
            )
    return out


def backward(
    grad_out: Tensor,
    padded: Tensor,
    seeds: Tensor,
    weights: Tensor,
    support: str,
    absolute: bool,
    need_image: bool,
    need_maps: bool,
) -> list[Tensor]:
    """As :func:`.reference.backward`; the same to the last bit every time."""
    grad_out, padded, seeds, weights = (t.contiguous() for t in (grad_out, padded, seeds, weights))
    (batch, levels, height, width), channels = weights.shape, padded.shape[1]
    grad_seeds, grad_weights = seeds.new_empty(seeds.shape), weights.new_empty(weights.shape)
    grad_padded = padded.new_zeros(padded.shape if need_image else 0)
    n_orbits = levels * (levels + 1) // 2 if need_image else 0
    mixtures = padded.new_empty(batch, n_orbits, height, width)
    if grad_out.numel():
        settings = {"LEVELS": levels, "SQUARE": support == "square"}
        with torch.cuda.device_of(padded):
            maps_kernel[_grid(height, width, batch)](
                *(grad_out, padded, seeds, weights, grad_seeds, grad_weights, mixtures, channels, height, width),
                **settings,
                **{"ABSOLUTE": absolute, "NEED_IMAGE": need_image, "NEED_MAPS": need_maps},
                **LAUNCH,
            )
            if need_image:
                image_kernel[_grid(padded.shape[2], padded.shape[3], batch * channels)](
                    grad_out, mixtures, grad_padded, channels, height, width, **settings, **LAUNCH
                )
    return [grad_padded] * need_image + [grad_seeds, grad_weights] * need_maps


def _grid(height: int, width: int, images: int) -> tuple[int, int]:
    return -(-height // ROWS) * -(-width // COLUMNS), images
