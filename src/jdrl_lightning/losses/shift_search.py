"""The smallest Charbonnier loss over integer shifts of the target: invariant to small global shifts."""

from __future__ import annotations

import torch
from torch import Tensor

from jdrl_lightning.losses.charbonnier import EPS, charbonnier_loss

__all__ = ["best_shift", "shift_search_loss"]


def shift_search_loss(restored: Tensor, target: Tensor, reach_px: int = 6, eps: float = EPS) -> Tensor:
    """Charbonnier loss at the best shift of each image: ``min_s mean sqrt((r[p] - t[p + s])² + eps²)``.

    ``s`` runs over integer shifts of up to ``reach_px`` in each direction, ``p`` over the interior, ``reach_px`` from
    the border, so that every shift compares the same pixels of ``restored``. The gradient is that of the best shift,
    which is the gradient of the minimum.

    Args:
        restored: ``(B, C, H, W)``, each side longer than ``2 reach_px``.
        target: same shape.
        reach_px: largest shift, pixels, at least 0.
        eps: see :func:`~jdrl_lightning.losses.charbonnier.charbonnier_loss`.

    Returns:
        Scalar: the mean over images.

    Raises:
        ValueError: different shapes, or images without an interior.
    """
    shifts = best_shift(restored, target, reach_px, eps)
    moved = [_interior(image, reach_px, int(dx), int(dy)) for image, (dx, dy) in zip(target, shifts, strict=True)]
    return charbonnier_loss(_interior(restored, reach_px), torch.stack(moved), eps=eps)


@torch.no_grad()
def best_shift(restored: Tensor, target: Tensor, reach_px: int = 6, eps: float = EPS) -> Tensor:
    """The shift of each target that minimises :func:`shift_search_loss`.

    Returns:
        ``(B, 2)``, integer pixels (dx, dy): ``target[p + shift] ≈ restored[p]``. Ties: the first in row-major order.
    """
    if restored.shape != target.shape:
        raise ValueError(f"restored {tuple(restored.shape)} and target {tuple(target.shape)} differ in shape")
    if reach_px < 0 or min(restored.shape[-2:]) <= 2 * reach_px:
        size = f"{restored.shape[-1]}×{restored.shape[-2]}"
        raise ValueError(f"images of {size} px have no pixel that is {reach_px} px from every border")
    reach = range(-reach_px, reach_px + 1)
    shifts = [(dx, dy) for dy in reach for dx in reach]
    inner = _interior(restored, reach_px)
    losses = [
        (inner - _interior(target, reach_px, dx, dy)).square_().add_(eps**2).sqrt_().flatten(1).mean(1)
        for dx, dy in shifts
    ]
    return torch.tensor(shifts, device=restored.device)[torch.stack(losses).argmin(0)]


def _interior(image: Tensor, margin: int, dx: int = 0, dy: int = 0) -> Tensor:
    """``image[…, p + (dx, dy)]`` for ``p`` at least ``margin`` px from the border."""
    height, width = image.shape[-2:]
    return image[..., margin + dy : height - margin + dy, margin + dx : width - margin + dx]
