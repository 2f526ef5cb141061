"""The affine part of a flow field."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.runtime.device_constants import constant

__all__ = [
    "Similarity",
    "affine_basis",
    "affine_field",
    "affine_fit",
    "affine_parameters",
    "basis_px",
    "invert_affine",
    "similarity",
]


class Similarity(NamedTuple):
    """An affine displacement in plain terms, ``(B,)`` each.

    Attributes:
        zoom: factor minus one, ``> 0`` when the flow points outwards.
        rotation: radians, from x towards y.
        dx, dy: displacement of the picture's centre, pixels.
    """

    zoom: Tensor
    rotation: Tensor
    dx: Tensor
    dy: Tensor


def affine_basis(like: Tensor) -> Tensor:
    """``(x, y, 1)`` with x, y from −1 to 1 over the picture, 0 along a side of one pixel: ``(3, H, W)``."""
    height, width = like.shape[-2:]
    x, y = (
        torch.linspace(-1, 1, n, dtype=like.dtype, device=like.device) if n > 1 else like.new_zeros(1)
        for n in (width, height)
    )
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width), like.new_ones(height, width)])


def basis_px(like: Tensor) -> Tensor:
    """Pixels in one unit of each of :func:`affine_basis`'s terms: half the width, half the height, 1; ``(3,)``."""
    height, width = like.shape[-2:]
    return constant((max(width - 1, 1) / 2, max(height - 1, 1) / 2, 1.0), like)


def affine_field(parameters: Tensor, like: Tensor) -> Tensor:
    """The displacement ``(B, 2, H, W)`` that ``parameters`` ``(B, 2, 3)`` mean on the grid of ``like``, pixels."""
    return torch.einsum("bci,ihw->bchw", parameters, affine_basis(like))


def invert_affine(parameters: Tensor, like: Tensor) -> Tensor:
    """The affine displacement the other way round, on the grid it leads to: ``(B, 2, 3)``, of ``(B, 2, 3)``."""
    unit = 1 / basis_px(like)[:2, None]  # a pixel, in coordinates
    eye = torch.eye(2, dtype=parameters.dtype, device=parameters.device)
    back = torch.linalg.inv_ex(eye + unit * parameters[:, :, :2]).inverse  # the plain form would wait for the device
    return torch.cat([(back - eye) / unit, -(back @ (unit * parameters[:, :, 2:])) / unit], dim=2)


def affine_parameters(flow: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Least squares ``flow[p] ≈ A (x, y, 1)`` with x, y running from −1 to 1 over the picture.

    Args:
        flow: ``(B, 2, H, W)``, pixels.
        weight: ``(B, 1, H, W)``, not negative; None weighs all pixels alike.

    Returns:
        ``A`` ``(B, 2, 3)`` and the basis ``(3, H, W)``.
    """
    basis = affine_basis(flow)
    terms, values = basis.flatten(1), flow.flatten(2)
    share = torch.ones_like(values[:, :1]) if weight is None else weight.flatten(2).to(flow.dtype)
    normal = torch.einsum("in,bn,jn->bij", terms, share[:, 0], terms)
    right = torch.einsum("in,bn,bcn->bic", terms, share[:, 0], values)
    # A whisper of damping, a few roundings: a picture one pixel wide, or with no weight, has no slope to find.
    precision = torch.finfo(flow.dtype)
    damping = 8.4 * precision.eps * normal.diagonal(dim1=1, dim2=2).mean(1).clamp_min(precision.tiny**0.5)
    normal = normal + damping[:, None, None] * torch.eye(3, dtype=flow.dtype, device=flow.device)
    solved, _ = torch.linalg.solve_ex(normal, right)  # the plain form would wait for the device
    return solved.transpose(1, 2), basis


def affine_fit(flow: Tensor, weight: Tensor | None = None) -> Tensor:
    """The affine field nearest to ``flow``, ``(B, 2, H, W)``; see :func:`affine_parameters`."""
    parameters, basis = affine_parameters(flow, weight)
    return torch.einsum("bci,ihw->bchw", parameters, basis)


def similarity(flow: Tensor, weight: Tensor | None = None) -> Similarity:
    """Zoom, rotation and shift of the affine part of ``(B, 2, H, W)``."""
    a, _ = affine_parameters(flow, weight)
    xx, xy, dx, yx, yy, dy = (a / basis_px(flow)).flatten(1).unbind(1)
    return Similarity((xx + yy) / 2, (yx - xy) / 2, dx, dy)
