"""Calibration masks: pixels whose flow is trusted (the paper's Eq. 4, and three alternatives)."""

from __future__ import annotations

import torch
from kornia.color import rgb_to_grayscale
from torch import Tensor

from jdrl_lightning.flow.affine import affine_fit
from jdrl_lightning.flow.color import flow_to_rgb
from jdrl_lightning.flow.warp import magnitude, warp

__all__ = ["LAM", "calibration_mask", "kept_quantile"]

LAM = 0.35  # λ of Eq. 4


@torch.no_grad()
def calibration_mask(
    flow: Tensor, lam: float = LAM, kind: str = "magnitude", backward: Tensor | None = None, min_px: float = 0.0
) -> Tensor:
    """1 where the flow is trusted, else 0.

    - ``magnitude`` (Eq. 4): ``(1 − λ) m < |Φ| < (1 + λ) m`` with ``m`` the mean of ``|Φ|`` over the image. Taken
      literally it rejects every pixel of a perfectly aligned pair and half of a pure zoom: ``min_px > 0`` also keeps
      pixels within ``min_px`` of the mean.
    - ``colorwheel``: the published code's rule, ``(1 − λ) m ≤ g ≤ (1 + λ) m`` on the grey level ``g`` of the flow's
      colour coding. That depends mostly on hue, so it keeps nearly everything. ``min_px`` as above.
    - ``residual``: the distance from a robust affine fit is at most ``max(3 σ, min_px)``, with ``σ`` from the median
      distance. For flows with outliers; a flow that is nearly affine by construction has none.
    - ``consistency``: forward and backward flow cancel,
      ``|Φ + Φ'(p + Φ)|² ≤ 0.01 (|Φ|² + |Φ'(p + Φ)|²) + max(½, min_px²)``.

    Args:
        flow: ``(B, 2, H, W)``, pixels.
        lam: λ, relative tolerance of the first two kinds, in (0, 1).
        kind: as above.
        backward: the reverse flow, ``(B, 2, H, W)``; needed for ``consistency``.
        min_px: floor of the tolerance, pixels.

    Returns:
        ``(B, 1, H, W)`` of the flow's dtype, no gradient.

    Raises:
        ValueError: unknown kind, or ``consistency`` without ``backward``.

    Source: Li et al., AAAI 2023, Eq. 4; ``consistency`` after Sundaram et al., ECCV 2010.
    """
    if kind == "consistency":
        if backward is None:
            raise ValueError("mask=consistency needs the backward flow")
        return _consistency(flow, backward, min_px)
    if kind not in ("magnitude", "colorwheel", "residual"):
        raise ValueError(f"mask kind {kind!r} is not one of magnitude, colorwheel, residual, consistency")
    if kind == "residual":
        return _residual(flow, min_px)
    length = magnitude(flow)
    mean = length.mean(dim=(2, 3), keepdim=True)
    near = (length - mean).abs() < min_px
    if kind == "magnitude":
        kept = ((1 - lam) * mean < length) & (length < (1 + lam) * mean)
    else:
        shade = _grey(flow)
        middle = shade.mean(dim=(2, 3), keepdim=True)
        kept = ((1 - lam) * middle <= shade) & (shade <= (1 + lam) * middle)
    return (kept | near).to(flow.dtype)


def kept_quantile(flow: Tensor, mask: Tensor, q: float = 0.95, stride: int = 4) -> Tensor:
    """``q``-quantile of ``|flow|`` over the kept pixels, without synchronising with the device.

    Args:
        flow: displacement in pixels, ``(B, 2, H, W)``.
        mask: ``(B, 1, H, W)`` of 0 and 1.
        q: in [0, 1].
        stride: uses every ``stride``-th row and column, since flow is smooth.

    Returns:
        A scalar over the whole batch, px; NaN if nothing is kept.
    """
    length = magnitude(flow[..., ::stride, ::stride].to(torch.promote_types(flow.dtype, torch.float32)))
    kept = mask[..., ::stride, ::stride] > 0.5
    return length.where(kept, torch.nan).nanquantile(q)


def _grey(flow: Tensor) -> Tensor:
    """8-bit BT.601 grey of the colour coding, as the published code computes it on the host."""
    return rgb_to_grayscale((flow_to_rgb(flow) * 255).floor()).round()


def _residual(flow: Tensor, min_px: float) -> Tensor:
    weight: Tensor | None = None
    for _ in range(5):  # iteratively reweighted: outliers must not bias the fit that they are measured against
        distance = magnitude(flow - affine_fit(flow, weight))
        spread = distance.flatten(1).median(dim=1).values.view(-1, 1, 1, 1)
        weight = 1 / (1 + (distance / (2 * spread + 1e-3)).square()).square()
    return (distance <= (3 * 1.4826 * spread).clamp_min(max(min_px, 1e-3))).to(flow.dtype)


def _consistency(flow: Tensor, backward: Tensor, min_px: float) -> Tensor:
    returned = warp(backward, flow)
    error = (flow + returned).square().sum(1, keepdim=True)
    size = (flow.square() + returned.square()).sum(1, keepdim=True)
    return (error <= 0.01 * size + max(0.5, min_px**2)).to(flow.dtype)
