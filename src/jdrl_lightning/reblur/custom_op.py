"""The reblurring operator as PyTorch sees it: one operator forward, one backward, nothing kept but the inputs.

Which form computes it depends on the device and the precision: float32 on processors is C++ (``cpu_kernel``), on CUDA
Triton (``triton_kernel``), and everything else PyTorch (``reference``).
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from jdrl_lightning.errors import first_line
from jdrl_lightning.reblur import reference

__all__ = ["fused_reblur"]

TRIAL = (1, 1, 3, 5), (1, 2, 1, 3), (1, 2, 1, 3)  # padded image, seeds, weights of three pixels and two levels


@torch.library.custom_op("jdrl_lightning::reblur", mutates_args=())
def fused_reblur(padded: Tensor, seeds: Tensor, weights: Tensor, support: str, absolute: bool) -> Tensor:
    """:func:`.operator.reblur` of an image that is padded already, ``levels - 1`` px on each side; in its precision."""
    return _form(padded.device, padded.dtype).forward(padded, seeds, weights, support, absolute)


@torch.library.custom_op("jdrl_lightning::reblur_backward", mutates_args=())
def _backward(
    grad_out: Tensor,
    padded: Tensor,
    seeds: Tensor,
    weights: Tensor,
    support: str,
    absolute: bool,
    need_image: bool,
    need_maps: bool,
) -> list[Tensor]:
    form = _form(padded.device, padded.dtype)
    return form.backward(grad_out, padded, seeds, weights, support, absolute, need_image, need_maps)


def _form(device: torch.device, dtype: torch.dtype) -> ModuleType:
    """The module whose ``forward`` and ``backward`` are the fastest for these tensors."""
    fast = {"cpu": "cpu_kernel", "cuda": "triton_kernel"}.get(device.type) if dtype == torch.float32 else None
    return _fast_form(fast, device) if fast else reference


@lru_cache
def _fast_form(name: str, device: torch.device) -> ModuleType:
    """The form if it computes three pixels here; else the reference, saying so once."""
    from importlib import import_module

    try:
        form = import_module(f"jdrl_lightning.reblur.{name}")
        given = [torch.full(shape, 0.5, dtype=torch.float32, device=device) for shape in TRIAL]
        found, expected = _computed(form, *given), _computed(reference, *given)
        torch.testing.assert_close(found, expected)
        return form
    except Exception as error:  # whatever a compiler, a driver or a loader may raise: there is a form without them
        reason = first_line(error)
        remedy = {"cpu_kernel": "a C++ compiler (g++ or clang++, or named in CXX)", "triton_kernel": "Triton"}[name]
        warnings.warn(
            f"reblurring on {device} is slower than it could be: {remedy} is needed, but: {reason}", stacklevel=2
        )
        return reference


def _computed(form: ModuleType, padded: Tensor, seeds: Tensor, weights: Tensor) -> list[Tensor]:
    reblurred = form.forward(padded, seeds, weights, "square", True)
    return [reblurred, *form.backward(reblurred, padded, seeds, weights, "square", True, True, True)]


@fused_reblur.register_fake
def _(padded: Tensor, seeds: Tensor, weights: Tensor, support: str, absolute: bool) -> Tensor:
    return padded.new_empty(padded.shape[0], padded.shape[1], weights.shape[2], weights.shape[3])


@_backward.register_fake
def _(
    grad_out: Tensor,
    padded: Tensor,
    seeds: Tensor,
    weights: Tensor,
    support: str,
    absolute: bool,
    need_image: bool,
    need_maps: bool,
) -> list[Tensor]:
    wanted = [padded] * need_image + [seeds, weights] * need_maps
    return [tensor.new_empty(tensor.shape) for tensor in wanted]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    padded, seeds, weights, ctx.support, ctx.absolute = inputs
    ctx.save_for_backward(padded, seeds, weights)


def _first_derivatives(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    need_image, need_maps = ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:3])
    grads = _backward(grad_out, *ctx.saved_tensors, ctx.support, ctx.absolute, need_image, need_maps)
    image = grads[0] if need_image else None
    seeds, weights = grads[-2:] if need_maps else (None, None)
    return image, seeds, weights, None, None


def _second_derivatives(ctx: Any, *grads: Any) -> None:
    raise RuntimeError("trying to differentiate twice: the reblurring operator has first derivatives only")


fused_reblur.register_autograd(_first_derivatives, setup_context=_setup_context)
_backward.register_autograd(_second_derivatives)
