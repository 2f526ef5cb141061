"""How far a restored image moved: the global affine displacement to its reference, to hundredths of a pixel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.flow.gauss_newton import affine_field, affine_motion, affine_step, grey, pyramid
from jdrl_lightning.flow.warp import in_frame, warp

__all__ = ["Placement", "placement_error"]

STEPS = 8


class Placement(NamedTuple):
    """Displacement from restored to reference, pixels; 0 where every detail is in place.

    Attributes:
        mean: ``(B, 2)``, (dx, dy) averaged over the frame: the drift. ``reference[p + mean] ≈ restored[p]``.
        rms: ``(B,)``, root mean square of its length over the frame.
        p95: ``(B,)``, its 95th percentile.
    """

    mean: Tensor
    rms: Tensor
    p95: Tensor


@torch.no_grad()
def placement_error(restored: Tensor, reference: Tensor) -> Placement:
    """Register ``restored`` to ``reference`` by one affine map, at full resolution with cubic sampling.

    Bilinear sampling blurs by an amount that depends on the fraction of a pixel, and so locks to whole pixels. Differences
    in brightness and symmetric differences in blur do not count; the reference may be the blurry input, whose blur is
    isotropic and moves nothing, at some loss of precision.

    Args:
        restored: ``(B, 3, H, W)``, RGB in [0, 1].
        reference: same shape.

    Returns:
        Per image; float32.

    Raises:
        ValueError: the shapes differ.
    """
    if restored.shape != reference.shape or restored.ndim != 4:
        raise ValueError(f"restored {tuple(restored.shape)} and reference {tuple(reference.shape)} differ in shape")
    first, second = grey(restored.float()), grey(reference.float())
    parameters = affine_motion(pyramid(first), pyramid(second))
    for _ in range(STEPS):
        flow = affine_field(parameters, first)
        parameters = parameters + affine_step(first, warp(second, flow, mode="bicubic"), in_frame(flow), robust=True)
    flow = affine_field(parameters, first)
    length = flow.norm(dim=1).flatten(1)
    return Placement(flow.mean(dim=(2, 3)), length.square().mean(1).sqrt(), length.quantile(0.95, dim=1))
