"""The contextual loss compares two images as sets of features, regardless of position."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["contextual_loss", "patches"]

EPS = 1e-5  # of the relative distance


def contextual_loss(restored: Tensor, target: Tensor, bandwidth: float = 0.5) -> Tensor:
    """How well each target feature is matched by a feature of the restored image: ``-log CX``.

    With ``d_ij`` the cosine distance between restored feature i and target feature j, centred by the target's mean::

        d~_ij = d_ij / (min_k d_ik + 1e-5)                    Eq. 2: relative to the nearest feature
        w_ij  = exp((1 - d~_ij) / h),  CX_ij = w_ij / Σ_k w_ik    Eq. 3, 4
        CX    = mean_j max_i CX_ij                            Eq. 1

    Args:
        restored: ``(B, N, C)``, N features of C channels.
        target: ``(B, M, C)``.
        bandwidth: ``h``, dimensionless, above 0; the smaller, the more only the nearest feature counts.

    Returns:
        Scalar: the mean of ``-log CX`` over images; 0 for equal images only in the limit of small ``h``.

    Raises:
        ValueError: shapes that do not match.

    Source: Mechrez, Talmi and Zelnik-Manor, ECCV 2018. The published code centres by the mean feature of the batch;
    here each image is centred by its own, so that the loss does not depend on how a batch is split over devices.
    """
    if restored.ndim != 3 or restored.shape[::2] != target.shape[::2]:
        raise ValueError(
            f"restored {tuple(restored.shape)} and target {tuple(target.shape)} must be (B, N, C), (B, M, C)"
        )
    centre = target.mean(1, keepdim=True)
    first, second = (F.normalize(features - centre, dim=2) for features in (restored, target))
    distance = (1 - first @ second.transpose(1, 2)).clamp_min(0)
    relative = distance / (distance.amin(2, keepdim=True) + EPS)
    similarity = ((1 - relative) / bandwidth).softmax(2)
    return -similarity.amax(1).mean(1).log().mean()


def patches(image: Tensor, size: int = 5, stride: int = 4) -> Tensor:
    """Patches of ``size × size`` px as features, every ``stride`` px.

    Args:
        image: ``(B, C, H, W)``.
        size: side of a patch, px.
        stride: distance between patches, px.

    Returns:
        ``(B, N, C · size²)``.
    """
    return F.unfold(image, size, stride=stride).transpose(1, 2)
