"""Pairs whose sharp picture was laid onto the blurry one, once, by one affine motion of the whole frame."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.data.images import to_float, to_uint
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.types import Pair

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
        progress: called with (pairs done, all pairs).
    """

    def __init__(
        self,
        pairs: Dataset[Pair],
        estimator: Callable[[Tensor, Tensor], Tensor],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.pairs = pairs
        count = len(pairs)  # type: ignore[arg-type]
        motions = []
        for index in range(count):
            pair = pairs[index]
            motions.append(fit_affine(estimator(to_float(pair.blurry)[None], to_float(pair.sharp)[None])).cpu())
            if progress is not None:
                progress(index + 1, count)
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

    Coordinates about the centre are orthogonal over the frame, so each column of ``M`` is one projection.

    Args:
        flow: ``(B, 2, H, W)``, px.

    Returns:
        ``(B, 2, 3)``, float64: the columns of ``M``, then ``t`` in px.
    """
    flow = flow.double()
    x, y = _centred(flow.shape[-2], flow.shape[-1], flow)
    over = [(flow * axis).mean((-2, -1)) / (axis * axis).mean().clamp_min(1e-12) for axis in (x, y)]
    return torch.stack([*over, flow.mean((-2, -1))], dim=-1)


def affine_flow(motion: Tensor, height: int, width: int) -> Tensor:
    """The flow of ``fit_affine``'s numbers, ``(B, 2, 3)``: ``(B, 2, H, W)``, px, float32."""
    x, y = _centred(height, width, motion)
    along_x, along_y, shift = motion[..., None, None].unbind(2)
    return (along_x * x + along_y * y + shift).float()


def _centred(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    x = torch.arange(width, dtype=like.dtype, device=like.device) - (width - 1) / 2
    y = torch.arange(height, dtype=like.dtype, device=like.device) - (height - 1) / 2
    return x.expand(height, width), y[:, None].expand(height, width)


def _rest_of(flow: Tensor, motion: Tensor) -> Tensor:
    """The flow ``(2, H, W)`` that is left once ``motion`` is undone: ``q - p`` of ``q + u(q) = p + flow(p)``."""
    position = torch.stack(_centred(flow.shape[-2], flow.shape[-1], motion))
    target = position + flow - motion[:, 2, None, None]
    inverse = torch.linalg.inv(torch.eye(2, dtype=motion.dtype) + motion[:, :2])
    return (torch.einsum("ij,jhw->ihw", inverse, target) - position).to(flow.dtype)
