"""The contextual loss: two images as sets of features, wherever in the picture each lies."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["contextual_loss", "patches"]

EPS = 1e-5  # of the relative distance


def contextual_loss(restored: Tensor, target: Tensor, bandwidth: float = 0.5) -> Tensor:
    """How well every feature of the target is found among those of the restored image: ``-log CX``.

    With ``d_ij`` the cosine distance between restored feature i and target feature j, both less the target's mean::

        d~_ij = d_ij / (min_k d_ik + 1e-5)                    Eq. 2: relative to the nearest
        w_ij  = exp((1 - d~_ij) / h),  CX_ij = w_ij / Σ_k w_ik    Eq. 3, 4
        CX    = mean_j max_i CX_ij                            Eq. 1

    Args:
        restored: ``(B, N, C)``, N features of C components.
        target: ``(B, M, C)``.
        bandwidth: ``h``, unit-free, above 0: small ones count the nearest feature alone.

    Returns:
        Scalar: the mean over images of ``-log CX``; not 0 for equal images unless ``h`` is small.

    Raises:
        ValueError: shapes that do not fit.

    Source: Mechrez, Talmi and Zelnik-Manor, ECCV 2018. The published code centres by the batch's mean feature, this by
    each image's own, so that a batch's loss does not depend on how it is split over devices.
    """
    if restored.ndim != 3 or restored.shape[::2] != target.shape[::2]:
        raise ValueError(
            f"restored {tuple(restored.shape)} and target {tuple(target.shape)} must be (B, N, C), (B, M, C)"
        )
    centre = target.mean(1, keepdim=True)
    ours, theirs = (F.normalize(features - centre, dim=2) for features in (restored, target))
    distance = (1 - ours @ theirs.transpose(1, 2)).clamp_min(0)
    relative = distance / (distance.amin(2, keepdim=True) + EPS)
    similarity = ((1 - relative) / bandwidth).softmax(2)
    return -similarity.amax(1).mean(1).log().mean()


def patches(image: Tensor, size: int = 5, stride: int = 4) -> Tensor:
    """The pixels of every ``stride``-th ``size × size`` patch as its feature.

    Args:
        image: ``(B, C, H, W)``.
        size: side, px.
        stride: step from patch to patch, px.

    Returns:
        ``(B, N, C · size²)``.
    """
    return F.unfold(image, size, stride=stride).transpose(1, 2)
