"""The reblurring operator registered with PyTorch: autograd, fake tensors, and the choice of the compute kernel.

One operator forward and one backward; nothing but the inputs is kept in between. In float32 CPUs run C++
(``cpu_kernel``) and CUDA runs Triton (``triton_kernel``); PyTorch (``reference``) covers everything else.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor

from jdrl_lightning.errors import first_line
from jdrl_lightning.native.library import COMPILER
from jdrl_lightning.reblur import reference
from jdrl_lightning.reblur.kernel_interface import ReblurInputs, ReblurKernel

__all__ = ["reblur_op"]

INPUTS = "Tensor padded, Tensor seeds, Tensor weights, str support, bool absolute"  # ReblurInputs as a schema
STRIDE = "int stride=1"  # its last field: in the last place and optional, since exported programs may not have it
FAST_KERNELS = {  # by device type: the module, and what it takes to run it
    "cpu": ("cpu_kernel", COMPILER),
    "cuda": ("triton_kernel", "Triton"),
}
TRIAL_SHAPES = (1, 1, 3, 5), (1, 2, 1, 3), (1, 2, 1, 3)  # padded image, seeds and weights of three pixels, two levels


@torch.library.custom_op("jdrl_lightning::reblur", mutates_args=(), schema=f"({INPUTS}, {STRIDE}) -> Tensor")
def reblur_op(*arguments: Any) -> Tensor:
    """The operator on the fields of :class:`ReblurInputs`, differentiable once in its three tensors."""
    inputs = ReblurInputs(*arguments)
    return _select_kernel(inputs.padded).forward(inputs)


@torch.library.custom_op(
    "jdrl_lightning::reblur_backward",
    mutates_args=(),
    schema=f"(Tensor grad_out, {INPUTS}, bool need_image, bool need_maps, {STRIDE}) -> Tensor[]",
)
def _backward_op(grad_out: Tensor, *arguments: Any) -> list[Tensor]:
    inputs, need_image, need_maps = _backward_arguments(*arguments)
    return _select_kernel(inputs.padded).backward(grad_out, inputs, need_image, need_maps)


@reblur_op.register_fake
def _(*arguments: Any) -> Tensor:
    inputs = ReblurInputs(*arguments)
    return inputs.padded.new_empty(inputs.output_shape)


@_backward_op.register_fake
def _(grad_out: Tensor, *arguments: Any) -> list[Tensor]:
    inputs, need_image, need_maps = _backward_arguments(*arguments)
    wanted = [inputs.padded] * need_image + [inputs.seeds, inputs.weights] * need_maps
    return [tensor.new_empty(tensor.shape) for tensor in wanted]


def _backward_arguments(*arguments: Any) -> tuple[ReblurInputs, bool, bool]:
    *given, need_image, need_maps = arguments[:7]
    return ReblurInputs(*given, *arguments[7:]), need_image, need_maps


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    padded, seeds, weights, *ctx.settings, ctx.stride = inputs
    ctx.save_for_backward(padded, seeds, weights)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    need_image, need_maps = ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:3])
    grads = _backward_op(grad_out, *ctx.saved_tensors, *ctx.settings, need_image, need_maps, ctx.stride)
    image = grads[0] if need_image else None
    seeds, weights = grads[-2:] if need_maps else (None, None)
    return image, seeds, weights, None, None, None


def _refuse_second_derivatives(ctx: Any, *grads: Any) -> None:
    raise RuntimeError("trying to differentiate twice: the reblurring operator has first derivatives only")


reblur_op.register_autograd(_differentiate, setup_context=_setup_context)
_backward_op.register_autograd(_refuse_second_derivatives)


def _select_kernel(padded: Tensor) -> ReblurKernel:
    """The fastest kernel for this image's device and dtype."""
    if padded.dtype == torch.float32 and padded.device.type in FAST_KERNELS:
        return _fast_kernel(padded.device)
    return reference


@lru_cache
def _fast_kernel(device: torch.device) -> ReblurKernel:
    """The device's own kernel if it agrees with the reference on three pixels; else the reference, warning once."""
    name, requirement = FAST_KERNELS[device.type]
    try:
        kernel = cast(ReblurKernel, import_module(f"jdrl_lightning.reblur.{name}"))
        padded, seeds, weights = (torch.full(shape, 0.5, dtype=torch.float32, device=device) for shape in TRIAL_SHAPES)
        inputs = ReblurInputs(padded, seeds, weights, support="square", absolute=True)
        torch.testing.assert_close(_forward_and_backward(kernel, inputs), _forward_and_backward(reference, inputs))
        return kernel
    except Exception as error:  # compilers, drivers and loaders raise all sorts; the reference needs none of them
        warnings.warn(
            f"reblurring on {device} falls back to the slow reference: {requirement} is needed, but: "
            f"{first_line(error)}",
            stacklevel=2,
        )
        return reference


def _forward_and_backward(kernel: ReblurKernel, inputs: ReblurInputs) -> list[Tensor]:
    reblurred = kernel.forward(inputs)
    return [reblurred, *kernel.backward(reblurred, inputs, True, True)]
