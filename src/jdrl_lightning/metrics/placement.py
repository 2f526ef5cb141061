"""How far a restored image moved: the global affine displacement to its reference, to hundredths of a pixel."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.flow.affine import affine_field, invert_affine
from jdrl_lightning.flow.blur_match import in_order_of_sharpness, register
from jdrl_lightning.flow.gauss_newton import affine_motion, grey, pyramid

__all__ = ["Placement", "placement_error"]

STEPS = 6


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
    """Register ``restored`` to ``reference`` by one affine map, whatever the blur of either.

    A symmetric blur moves nothing, but a plain registration reads tenths of a pixel into it; so the difference in blur
    is estimated together with the motion (:mod:`jdrl_lightning.flow.blur_match`). Brightness, contrast and outliers do
    not count either, and the reference may be the blurry input.

    Sampling is cubic: bilinear sampling blurs by an amount that depends on the fraction of a pixel.

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
    start = affine_motion(pyramid(first), pyramid(second))
    sharper, softer, exchanged = in_order_of_sharpness(first, second)
    turned = exchanged[:, 0]
    found, _ = register(sharper, softer, torch.where(turned, invert_affine(start, first), start), STEPS, mode="bicubic")
    flow = affine_field(torch.where(turned, invert_affine(found, first), found), first)
    length = flow.norm(dim=1).flatten(1)
    p95 = length.kthvalue(
        math.ceil(0.95 * length.shape[1]), dim=1
    ).values  # torch.quantile refuses a camera's megapixels
    return Placement(flow.mean(dim=(2, 3)), length.square().mean(1).sqrt(), p95)
