"""PSNR as a loss: each image's error counts relative to itself, so that easy images go on improving."""

from __future__ import annotations

from torch import Tensor

__all__ = ["psnr_loss"]

EPS = 1e-8  # added to the mean squared error: equal images have 80 dB, and a gradient


def psnr_loss(restored: Tensor, target: Tensor) -> Tensor:
    """``10 log10(mean d² + 1e-8)``, the mean over images: the negative PSNR, dB.

    Args:
        restored: ``(B, C, H, W)``, in [0, 1].
        target: same shape.

    Returns:
        Scalar, about -40 to -10.

    Source: Chen et al., "HINet", CVPR Workshops 2021; the loss of NAFNet.
    """
    return 10 * ((restored - target).square().flatten(1).mean(1) + EPS).log10().mean()
