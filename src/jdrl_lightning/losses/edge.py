"""The edge loss: the Charbonnier loss of the finest level of a Laplacian pyramid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.losses.charbonnier import EPS

__all__ = ["edge_loss", "laplacian"]

TAPS = (0.05, 0.25, 0.4, 0.25, 0.05)  # Burt and Adelson's generating kernel with a = 0.4


def edge_loss(restored: Tensor, target: Tensor, mask: Tensor | None = None, eps: float = EPS) -> Tensor:
    """The mean over elements of ``sqrt(L(m d)² + eps²)``; ``d = restored - target``, ``L`` is :func:`laplacian`.

    Args:
        restored: ``(B, C, H, W)``.
        target: same shape.
        mask: ``m``, ``(B, 1, H, W)`` in [0, 1]; multiplies the difference *before* the filter, so that rejected pixels
            do not leak into their kept neighbours. None keeps everything.
        eps: see :func:`~jdrl_lightning.losses.charbonnier.charbonnier_loss`.

    Returns:
        Scalar.

    Raises:
        ValueError: different shapes.

    Source: the second term of MPRNet's training loss (weight 0.05).
    """
    if restored.shape != target.shape:
        raise ValueError(f"restored {tuple(restored.shape)} and target {tuple(target.shape)} differ in shape")
    difference = restored - target  # the filter is linear: one pass, not one per image
    edges = laplacian(difference if mask is None else mask * difference)
    return (edges.square() + eps**2).sqrt().mean()


def laplacian(image: Tensor) -> Tensor:
    """``image - expand(reduce(image))``: the detail lost by blurring, subsampling by two and interpolating back.

    Both blurs replicate the border, as in MPRNet's recipe; the two outermost rows and columns of a constant image are
    therefore not exactly zero.

    Args:
        image: ``(B, C, H, W)``, any size.

    Returns:
        Same shape.
    """
    every_second = torch.zeros_like(image, requires_grad=False)
    every_second[..., ::2, ::2] = 4  # three of four pixels become zero; the fourth is scaled to keep the mean
    return image - _blur(_blur(image) * every_second)


def _blur(image: Tensor) -> Tensor:
    channels = image.shape[1]
    taps = image.new_tensor(TAPS)
    padded = F.pad(image, (2, 2, 2, 2), mode="replicate")
    rows = F.conv2d(padded, taps.view(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)
    return F.conv2d(rows, taps.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)
