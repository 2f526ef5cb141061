"""Pairs whose sharp picture was laid onto the blurry one, once, by one affine motion of the whole frame."""

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

    The motion of every pair is estimated at the start and kept as six numbers; the warp is bicubic, of the whole
    picture, and rounded to the type that the picture had. Where the warp leaves the frame the border is repeated.
    A true ``flow`` among the extras is changed so that it still leads from ``sharp`` to ``aligned``.

    Args:
        pairs: map-style data set of single samples.
        estimator: ``(blurry, sharp)``, float ``(1, 3, H, W)``, to a flow ``(1, 2, H, W)``, px, with
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
            extras["flow"] = _rest_of(extras["flow"], motion)
        return pair._replace(sharp=sharp, extras=extras)


def fit_affine(flow: Tensor) -> Tensor:
    """The affine flow nearest to ``flow`` in the mean square: ``u(p) ≈ M (p - c) + t``, ``c`` the frame's centre.

    Args:
        flow: ``(B, 2, H, W)``, px.

    Returns:
        ``(B, 2, 3)``, float64: the columns of ``M``, then ``t`` in px.
    """
    flow = flow.double()
    return affine_parameters(flow)[0] / basis_px(flow)


def affine_flow(motion: Tensor, height: int, width: int) -> Tensor:
    """The flow of ``fit_affine``'s numbers, ``(B, 2, 3)``: ``(B, 2, H, W)``, px, float32."""
    like = motion.new_empty(height, width)
    return affine_field(motion * basis_px(like), like).float()


def _rest_of(flow: Tensor, motion: Tensor) -> Tensor:
    """The flow ``(2, H, W)`` that is left once ``motion`` is undone: ``q - p`` of ``q + u(q) = p + flow(p)``."""
    like = flow.to(motion.dtype)
    position = (affine_basis(like) * basis_px(like)[:, None, None])[:2]
    inverse = torch.linalg.inv(torch.eye(2, dtype=motion.dtype) + motion[:, :2])
    target = position + flow - motion[:, 2, None, None]
    return (torch.einsum("ij,jhw->ihw", inverse, target) - position).to(flow.dtype)
