"""Pairs registered in advance: the sharp image is warped by one affine motion of the whole frame."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.flow.affine import affine_basis, affine_field, affine_parameters, basis_px
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.types import Pair, to_float, to_uint

__all__ = ["Registered", "affine_flow", "fit_affine"]


class Registered(Dataset[Pair]):
    """The same pairs with ``sharp`` warped by the affine part of ``estimator(blurry, sharp)``.

    The motions of all pairs are estimated once, at construction, and stored as six numbers each. The whole image is
    warped with bicubic interpolation, the border replicated, and rounded to its original dtype. A true ``flow`` in the
    extras is updated so that ``warp(sharp, flow) ≈ aligned`` still holds.

    Args:
        pairs: map-style dataset of single samples.
        estimator: maps ``(blurry, sharp)``, float ``(1, 3, H, W)``, to a flow ``(1, 2, H, W)``, px, with
            ``warp(sharp, flow) ≈ blurry``.
    """

    def __init__(self, pairs: Dataset[Pair], estimator: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.pairs = pairs
        motions = []
        for index in range(len(pairs)):  # type: ignore[arg-type]
            pair = pairs[index]
            motions.append(fit_affine(estimator(to_float(pair.blurry)[None], to_float(pair.sharp)[None])).cpu())
        self.motions = torch.cat(motions)

    def __len__(self) -> int:
        return len(self.motions)

    def __getitem__(self, index: int) -> Pair:
        pair, motion = self.pairs[index], self.motions[index]
        height, width = pair.sharp.shape[-2:]
        flow = affine_flow(motion[None], height, width)
        warped = warp(to_float(pair.sharp)[None], flow, padding="border", mode="bicubic")[0]
        if pair.sharp.is_floating_point():
            sharp = warped.to(pair.sharp.dtype)
        else:
            sharp = to_uint(warped, 8 * pair.sharp.element_size())
        extras = dict(pair.extras)
        if "flow" in extras:
            extras["flow"] = _residual(extras["flow"], motion)
        return pair._replace(sharp=sharp, extras=extras)


def fit_affine(flow: Tensor) -> Tensor:
    """Least-squares affine fit of a flow: ``u(p) ≈ M (p - c) + t`` with ``c`` the centre of the frame.

    Args:
        flow: ``(B, 2, H, W)``, px.

    Returns:
        ``(B, 2, 3)``, float64: the columns of ``M``, then ``t``, px.
    """
    flow = flow.double()
    return affine_parameters(flow)[0] / basis_px(flow)


def affine_flow(motion: Tensor, height: int, width: int) -> Tensor:
    """Flow ``(B, 2, H, W)``, px, float32, of the ``(B, 2, 3)`` that :func:`fit_affine` returns."""
    like = motion.new_empty(height, width)
    return affine_field(motion * basis_px(like), like).float()


def _residual(flow: Tensor, motion: Tensor) -> Tensor:
    """The flow ``(2, H, W)`` that remains after registration: ``q - p`` with ``q + u(q) = p + flow(p)``."""
    like = flow.to(motion.dtype)
    position = (affine_basis(like) * basis_px(like)[:, None, None])[:2]
    inverse = torch.linalg.inv(torch.eye(2, dtype=motion.dtype) + motion[:, :2])
    target = position + flow - motion[:, 2, None, None]
    return (torch.einsum("ij,jhw->ihw", inverse, target) - position).to(flow.dtype)
