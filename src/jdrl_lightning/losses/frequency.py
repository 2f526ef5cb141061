"""The frequency distribution loss compares how amplitudes and phases are distributed, regardless of position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.losses.sorting import sort_rows

__all__ = ["frequency_distribution_loss", "random_projections", "sliced_wasserstein"]


def frequency_distribution_loss(
    restored: Tensor, target: Tensor, projections: Tensor, phase_weight: float = 1.0
) -> Tensor:
    """``SW(|F(r)|, |F(t)|) + λ SW(∠F(r), ∠F(t))`` of images or feature maps.

    ``F`` is the unnormalised discrete Fourier transform of each channel, ``SW`` is :func:`sliced_wasserstein`.

    Args:
        restored: ``r``, ``(B, C, H, W)``.
        target: ``t``, same shape.
        projections: ``(P, C, k, k)``, see :func:`random_projections`.
        phase_weight: ``λ``, per radian.

    Returns:
        Scalar, 0 for equal images.

    Raises:
        ValueError: different shapes, or sides shorter than ``k``.

    Source: Ni et al., CVPR 2024.
    """
    if restored.shape != target.shape or min(restored.shape[-2:]) < projections.shape[-1]:
        shapes = f"restored {tuple(restored.shape)} and target {tuple(target.shape)}"
        raise ValueError(f"{shapes} must be of equal shape, with sides of at least {projections.shape[-1]}")
    with torch.autocast(restored.device.type, enabled=False):  # no Fourier transform in half precision
        kind = torch.promote_types(restored.dtype, torch.float32)
        ours, theirs = (torch.fft.fft2(image.to(kind)) for image in (restored, target))
        amplitude = sliced_wasserstein(ours.abs(), theirs.abs(), projections.to(kind))
        return amplitude + phase_weight * sliced_wasserstein(ours.angle(), theirs.angle(), projections.to(kind))


def sliced_wasserstein(first: Tensor, second: Tensor, projections: Tensor) -> Tensor:
    """Sliced Wasserstein-1 distance of the ``k × k`` patches of two maps.

    Each projection makes a number of each patch; of two sets of equally many numbers, the distance is the mean absolute
    difference once both are sorted.

    Args:
        first: ``(B, C, H, W)``.
        second: same shape.
        projections: ``(P, C, k, k)``.

    Returns:
        Scalar: the mean over projections and images.
    """
    ours, theirs = (sort_rows(F.conv2d(maps, projections).flatten(2)) for maps in (first, second))
    return (ours - theirs).abs().mean()


def random_projections(channels: int, count: int = 256, size: int = 5) -> Tensor:
    """``count`` random directions of length 1 in the space of ``size × size`` patches, always the same ones.

    Returns:
        ``(count, channels, size, size)``, float32.
    """
    drawn = torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0))
    return drawn / drawn.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
