"""What a restored image is compared with: the sharp image as given, that warped onto it, or the truth in place."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor

from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.metrics.fidelity import mae, psnr, ssim
from jdrl_lightning.metrics.perceptual import lpips
from jdrl_lightning.metrics.placement import placement_error
from jdrl_lightning.types import Pair

__all__ = ["crop", "deformed", "measure"]

CROPS = {"none": (1, False), "top_left_16": (16, False), "top_left_8": (8, False), "center_8": (8, True)}


def crop(image: Tensor, rule: str) -> Tensor:
    """Cut an image to the size that a published evaluation looks at.

    Args:
        image: ``(..., H, W)``.
        rule: ``none``; ``top_left_16`` (JDRL's UNet, DRBNet) and ``top_left_8`` (IFAN): drop rows below and columns to
            the right down to a multiple; ``center_8`` (JDRL's MPRNet): drop them evenly on both sides.

    Returns:
        A view of ``image``.

    Raises:
        ValueError: unknown rule, or nothing would be left.
    """
    if rule not in CROPS:
        raise ValueError(f"crop rule {rule!r} is none of {', '.join(CROPS)}")
    multiple, centred = CROPS[rule]
    height, width = image.shape[-2:]
    new_height, new_width = height - height % multiple, width - width % multiple
    if not (new_height and new_width):
        raise ValueError(f"crop rule {rule!r} leaves nothing of {height}×{width} pixels")
    top, left = ((height - new_height) // 2, (width - new_width) // 2) if centred else (0, 0)
    return image[..., top : top + new_height, left : left + new_width]


def deformed(
    sharp: Tensor,
    restored: Tensor,
    flow_estimator: Callable[[Tensor, Tensor], Tensor],
    mode: str = "bicubic",
    grid: str = "exact",
) -> Tensor:
    """Warp the sharp image onto the restored one: ``warp(sharp, flow(restored, sharp))``, the "deformed GT" of SDD.

    It forgives *any* displacement of the output, and resampling blurs the truth, which favours soft outputs (bilinear
    more than bicubic): read it only beside the placement error.

    Args:
        sharp: ``(B, 3, H, W)``, RGB in [0, 1].
        restored: same shape.
        flow_estimator: ``(first, second) -> flow`` with ``warp(second, flow) ≈ first``.
        mode: ``bicubic``, or ``bilinear`` as in the published protocol.
        grid: ``exact``, or ``legacy`` for the published half-pixel grid.

    Returns:
        ``(B, 3, H, W)``, clamped to [0, 1] (bicubic overshoots).

    Source: Li et al., AAAI 2023, "Evaluation"; the published code warps bilinearly on the legacy grid with the flow
    estimator that it trains with.
    """
    flow = flow_estimator(restored, sharp)
    return warp(sharp, flow, padding="border", mode=mode, grid=grid).clamp(0, 1)


@torch.no_grad()
def measure(
    restored: Tensor,
    pair: Pair,
    flow_estimator: FlowEstimator | None = None,
    lpips_weights: str | os.PathLike[str] | None = None,
    mode: str = "bicubic",
    grid: str = "exact",
) -> dict[str, Tensor]:
    """Every figure that the references at hand allow.

    References: ``gt``, the sharp image as given; ``deformed_gt``, that warped onto the output (:func:`deformed`), if
    there is an estimator that looks at images; ``aligned``, the truth in place, if the pair carries it. Placement is
    taken against ``aligned`` where known, else against the blurry image, whose place is right by definition.

    Args:
        restored: ``(B, 3, H, W)``, RGB; clamped to [0, 1] first, as it would be on writing it to a file.
        pair: float batch, same size.
        flow_estimator: for ``deformed_gt``; None, or one that only knows the truth, leaves it out.
        lpips_weights: file of AlexNet's weights; None leaves LPIPS out.
        mode: see :func:`deformed`.
        grid: see :func:`deformed`.

    Returns:
        ``(B,)`` each: ``<reference>/{psnr,ssim,mae,lpips}`` and ``placement/{rms,p95,dx,dy}`` in pixels.
    """
    restored = restored.clamp(0, 1)
    references = {"gt": pair.sharp}
    if flow_estimator is not None and not flow_estimator.uses_truth:
        references["deformed_gt"] = deformed(pair.sharp, restored, flow_estimator, mode, grid)
    if "aligned" in pair.extras:
        references["aligned"] = pair.extras["aligned"]

    values: dict[str, Tensor] = {}
    for name, reference in references.items():
        for metric in (psnr, ssim, mae):
            values[f"{name}/{metric.__name__}"] = metric(restored, reference)
        if lpips_weights is not None:
            values[f"{name}/lpips"] = lpips(restored, reference, lpips_weights)

    placement = placement_error(restored, references.get("aligned", pair.blurry))
    values |= {"placement/rms": placement.rms, "placement/p95": placement.p95}
    values["placement/dx"], values["placement/dy"] = placement.mean.unbind(1)
    return values
