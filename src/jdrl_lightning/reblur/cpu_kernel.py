"""The reblurring operator in C++ (``cpp/reblur.cpp``), for CPUs: float32, multi-threaded, deterministic."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning.native.library import load_library
from jdrl_lightning.reblur.kernel_interface import ReblurInputs

__all__ = ["LIBRARY", "backward", "forward"]

SOURCE = Path(__file__).parent / "cpp" / "reblur.cpp"
LIBRARY = SOURCE, ("jdrl_reblur_forward", 4, 9), ("jdrl_reblur_backward", 7, 9)
PIXELS_PER_THREAD = 2048  # fewer are done before another thread has started


def forward(inputs: ReblurInputs) -> Tensor:
    """See :class:`.ReblurKernel`; computed in float32."""
    inputs = inputs.map(_contiguous_float32)
    out = inputs.padded.new_empty(inputs.output_shape)
    tensors = (inputs.padded, inputs.seeds, inputs.weights, out)
    load_library(*LIBRARY).jdrl_reblur_forward(*map(Tensor.data_ptr, tensors), *_settings(inputs))
    return out


def backward(grad_out: Tensor, inputs: ReblurInputs, need_image: bool, need_maps: bool) -> list[Tensor]:
    """See :class:`.ReblurKernel`; computed in float32, bit-identical for any number of threads."""
    dtypes = inputs.seeds.dtype, inputs.weights.dtype
    grad_out, inputs = _contiguous_float32(grad_out), inputs.map(_contiguous_float32)
    for_image = [torch.zeros_like(inputs.padded)] if need_image else []
    new = torch.empty_like if inputs.stride == 1 else torch.zeros_like
    for_maps = [new(inputs.seeds), new(inputs.weights)] if need_maps else []
    pointers: list[int | None] = [*map(Tensor.data_ptr, (grad_out, inputs.padded, inputs.seeds, inputs.weights))]
    pointers += [*map(Tensor.data_ptr, for_image)] or [None]
    pointers += [*map(Tensor.data_ptr, for_maps)] or [None, None]
    load_library(*LIBRARY).jdrl_reblur_backward(*pointers, *_settings(inputs))
    return for_image + [grad.to(dtype) for grad, dtype in zip(for_maps, dtypes, strict=False)]


def _contiguous_float32(tensor: Tensor) -> Tensor:
    return tensor.float().contiguous()


def _settings(inputs: ReblurInputs) -> tuple[int, ...]:
    """The integer arguments of both C++ functions, in order."""
    batch, channels, height, width = inputs.output_shape
    threads = min(torch.get_num_threads(), 1 + batch * height * width // PIXELS_PER_THREAD)
    settings = inputs.levels, inputs.support == "square", inputs.absolute, inputs.stride
    return batch, channels, height, width, *settings, threads
