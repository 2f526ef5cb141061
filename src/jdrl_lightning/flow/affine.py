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
    """Zoom, rotation and shift of an affine displacement, ``(B,)`` each.

    Attributes:
        zoom: scale factor minus one, ``> 0`` when the flow points outwards.
        rotation: radians, from x towards y.
        dx, dy: displacement of the image centre, pixels.
    """

    zoom: Tensor
    rotation: Tensor
    dx: Tensor
    dy: Tensor


def affine_basis(like: Tensor) -> Tensor:
    """``(x, y, 1)`` with x and y from −1 to 1 over the image, 0 along a side of one pixel: ``(3, H, W)``."""
    height, width = like.shape[-2:]
    x, y = (
        torch.linspace(-1, 1, n, dtype=like.dtype, device=like.device) if n > 1 else like.new_zeros(1)
        for n in (width, height)
    )
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width), like.new_ones(height, width)])


def basis_px(like: Tensor) -> Tensor:
    """Pixels per unit of each term of :func:`affine_basis`: half the width, half the height, 1; ``(3,)``."""
    height, width = like.shape[-2:]
    return constant((max(width - 1, 1) / 2, max(height - 1, 1) / 2, 1.0), like)


def affine_field(parameters: Tensor, like: Tensor) -> Tensor:
    """Displacement ``(B, 2, H, W)``, pixels, of ``parameters`` ``(B, 2, 3)`` on the grid of ``like``."""
    return torch.einsum("bci,ihw->bchw", parameters, affine_basis(like))


def invert_affine(parameters: Tensor, like: Tensor) -> Tensor:
    """Inverse of an affine displacement on the grid of ``like``: ``(B, 2, 3)`` to ``(B, 2, 3)``."""
    unit = 1 / basis_px(like)[:2, None]  # one pixel in the units of the basis
    eye = torch.eye(2, dtype=parameters.dtype, device=parameters.device)
    back = torch.linalg.inv_ex(eye + unit * parameters[:, :, :2]).inverse  # linalg.inv waits for the device
    return torch.cat([(back - eye) / unit, -(back @ (unit * parameters[:, :, 2:])) / unit], dim=2)


def affine_parameters(flow: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Least-squares fit ``flow[p] ≈ A (x, y, 1)`` with x and y from −1 to 1 over the image.

    Args:
        flow: ``(B, 2, H, W)``, pixels.
        weight: ``(B, 1, H, W)``, not negative; None weights all pixels equally.

    Returns:
        ``A`` ``(B, 2, 3)`` and the basis ``(3, H, W)``.
    """
    basis = affine_basis(flow)
    terms, values = basis.flatten(1), flow.flatten(2)
    share = torch.ones_like(values[:, :1]) if weight is None else weight.flatten(2).to(flow.dtype)
    normal = torch.einsum("in,bn,jn->bij", terms, share[:, 0], terms)
    right = torch.einsum("in,bn,bcn->bic", terms, share[:, 0], values)
    # Damped by a few rounding errors: an image one pixel wide, or without weight, leaves the slope undetermined.
    precision = torch.finfo(flow.dtype)
    damping = 8.4 * precision.eps * normal.diagonal(dim1=1, dim2=2).mean(1).clamp_min(precision.tiny**0.5)
    normal = normal + damping[:, None, None] * torch.eye(3, dtype=flow.dtype, device=flow.device)
    solved, _ = torch.linalg.solve_ex(normal, right)  # linalg.solve waits for the device
    return solved.transpose(1, 2), basis


def affine_fit(flow: Tensor, weight: Tensor | None = None) -> Tensor:
    """Least-squares affine field of ``flow``, ``(B, 2, H, W)``; see :func:`affine_parameters`."""
    parameters, basis = affine_parameters(flow, weight)
    return torch.einsum("bci,ihw->bchw", parameters, basis)


def similarity(flow: Tensor, weight: Tensor | None = None) -> Similarity:
    """Zoom, rotation and shift of the affine part of ``(B, 2, H, W)``."""
    a, _ = affine_parameters(flow, weight)
    xx, xy, dx, yx, yy, dy = (a / basis_px(flow)).flatten(1).unbind(1)
    return Similarity((xx + yy) / 2, (yx - xy) / 2, dx, dy)
