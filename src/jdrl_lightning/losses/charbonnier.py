"""The Charbonnier loss, with and without a calibration mask (Eq. 5 and 10)."""

from __future__ import annotations

from torch import Tensor

__all__ = ["EPS", "charbonnier_loss"]

EPS = 1e-3  # ε of Eq. 5 and 10, in units of the image range


def charbonnier_loss(
    restored: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    eps: float = EPS,
    reduction: str = "mean",
    min_share: float = 0.1,
) -> Tensor:
    """A smooth L1 loss: ``sqrt(d² + eps²)`` with ``d = restored - target``.

    ``mean``: the mean over all elements of ``sqrt((m d)² + eps²)``, so a rejected pixel still adds ``eps``, and an
    image with few kept pixels gets a small gradient. ``masked_mean``: ``Σ m sqrt(d² + eps²) / Σ m`` per image, then the
    mean over images: kept pixels get full weight, and the loss does not depend on how a batch is split over devices.

    Args:
        restored: ``(B, C, H, W)``.
        target: same shape.
        mask: ``m``, ``(B, 1, H, W)`` in [0, 1]; None keeps everything.
        eps: where the loss turns from square to linear, in units of the image range.
        reduction: ``mean`` or ``masked_mean``.
        min_share: ``masked_mean`` divides by at least this share of an image's elements, so that a handful of kept
            pixels does not get the weight of a whole image, and an empty mask gives 0 instead of 0/0.

    Returns:
        Scalar.

    Raises:
        ValueError: unknown reduction, or different shapes.

    Source: Li et al., AAAI 2023, Eq. 5, printed as one square root per image; ``mean`` is the published code's mean
    over elements. ``masked_mean`` is ours.
    """
    if reduction not in ("mean", "masked_mean"):
        raise ValueError(f"reduction={reduction!r} is not one of mean, masked_mean")
    if restored.shape != target.shape:
        raise ValueError(f"restored {tuple(restored.shape)} and target {tuple(target.shape)} differ in shape")
    difference = restored - target
    if mask is None:
        return (difference.square() + eps**2).sqrt().mean()
    if reduction == "mean":
        return ((mask * difference).square() + eps**2).sqrt().mean()
    kept = mask.expand_as(difference).flatten(1).sum(1)
    total = (mask * (difference.square() + eps**2).sqrt()).flatten(1).sum(1)
    return (total / kept.clamp_min(min_share * difference[0].numel())).mean()
