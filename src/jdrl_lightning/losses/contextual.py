"""The contextual loss compares two images as sets of features, regardless of position or preferring near ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["PATCH", "STEP", "contextual_loss", "displacement", "patches"]

PATCH, STEP = 5, 4  # side of a patch and distance between patches, px

EPS = 1e-5  # of the relative distance


def contextual_loss(restored: Tensor, target: Tensor, bandwidth: float = 0.5, penalty: Tensor | None = None) -> Tensor:
    """How well each target feature is matched by a feature of the restored image: ``-log CX``.

    With ``d_ij`` the cosine distance between restored feature i and target feature j, centred by the target's mean::

        d~_ij = d_ij / (min_k d_ik + 1e-5)                    Eq. 2: relative to the nearest feature
        w_ij  = exp((1 - d~_ij) / h),  CX_ij = w_ij / Σ_k w_ik    Eq. 3, 4
        CX    = mean_j max_i CX_ij                            Eq. 1

    Args:
        restored: ``(B, N, C)``, N features of C channels.
        target: ``(B, M, C)``.
        bandwidth: ``h``, dimensionless, above 0; the smaller, the more only the nearest feature counts.
        penalty: ``(N, M)``, added to each ``d_ij``: the spatial term of the contextual bilateral loss.

    Returns:
        Scalar: the mean of ``-log CX`` over images; 0 for equal images only in the limit of small ``h``.

    Raises:
        ValueError: shapes that do not match.

    Source: Mechrez, Talmi and Zelnik-Manor, ECCV 2018. The published code centres by the mean feature of the batch;
    here each image is centred by its own, so that the loss does not depend on how a batch is split over devices.
    The penalty: Zhang et al., CVPR 2019, whose printed loss is the mean of the smallest penalised distances instead of
    Eq. 1 to 4.
    """
    if restored.ndim != 3 or restored.shape[::2] != target.shape[::2]:
        raise ValueError(
            f"restored {tuple(restored.shape)} and target {tuple(target.shape)} must be (B, N, C), (B, M, C)"
        )
    centre = target.mean(1, keepdim=True)
    first, second = (F.normalize(features - centre, dim=2) for features in (restored, target))
    distance = (1 - first @ second.transpose(1, 2)).clamp_min(0)
    distance = distance if penalty is None else distance + penalty
    relative = distance / (distance.amin(2, keepdim=True) + EPS)
    similarity = ((1 - relative) / bandwidth).softmax(2)
    return -similarity.amax(1).mean(1).log().mean()


def displacement(rows: int, columns: int, like: Tensor) -> Tensor:
    """Distances between features on a grid of ``STEP`` px, in row-major order: ``(N, N)``, px, N = rows · columns."""
    y, x = (STEP * torch.arange(count, dtype=like.dtype, device=like.device) for count in (rows, columns))
    places = torch.cartesian_prod(y, x)
    return torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist")


def patches(image: Tensor) -> Tensor:
    """Patches of ``PATCH × PATCH`` px as features, every ``STEP`` px.

    Args:
        image: ``(B, C, H, W)``.

    Returns:
        ``(B, N, C · PATCH²)``.
    """
    return F.unfold(image, PATCH, stride=STEP).transpose(1, 2)
