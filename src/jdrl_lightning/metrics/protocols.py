"""What a restored image is compared with: the sharp image as given, that warped onto it, or the truth in place."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.metrics.fidelity import mae, psnr, ssim
from jdrl_lightning.metrics.perceptual import lpips
from jdrl_lightning.metrics.placement import placement_error
from jdrl_lightning.types import Pair

__all__ = ["Protocol", "crop", "deformed", "measure", "moved"]

CROPS = {"none": (1, False), "top_left_16": (16, False), "top_left_8": (8, False), "center_8": (8, True)}
WARPS = {"bicubic": ("bicubic", "exact"), "bilinear": ("bilinear", "exact"), "legacy": ("bilinear", "legacy")}
WINDOWS = ("uniform", "gaussian")


@dataclass(frozen=True)
class Protocol:
    """How images are measured; figures of different protocols cannot be compared.

    Attributes:
        crop: what is cut off before restoring, see :func:`crop`.
        warp: of ``deformed_gt``, see :func:`deformed`.
        ssim: the window, see :func:`.fidelity.ssim`: ``uniform`` (what is published) or ``gaussian`` (Wang et al.).
        round: whether the restored image is rounded to 8 bits first, as one that went through an ordinary PNG.

    Raises:
        UserError: a value that is not known.
    """

    crop: str = "none"
    warp: str = "bicubic"
    ssim: str = "uniform"
    round: bool = False

    def __post_init__(self) -> None:
        for key, known in (("crop", CROPS), ("warp", WARPS), ("ssim", WINDOWS)):
            check_choice(key, getattr(self, key), known)
        if not isinstance(self.round, bool):
            raise UserError(f"round={self.round!r} is neither true nor false")


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
    sharp: Tensor, restored: Tensor, flow_estimator: Callable[[Tensor, Tensor], Tensor], warping: str = "bicubic"
) -> Tensor:
    """Warp the sharp image onto the restored one: ``warp(sharp, flow(restored, sharp))``, the "deformed GT" of SDD.

    It forgives *any* displacement of the output, and resampling blurs the truth, which favours soft outputs (bilinear
    more than bicubic): read it only beside the placement error.

    Args:
        sharp: ``(B, 3, H, W)``, RGB in [0, 1].
        restored: same shape.
        flow_estimator: ``(first, second) -> flow`` with ``warp(second, flow) ≈ first``.
        warping: ``bicubic``; ``bilinear``; ``legacy``: bilinear on the published code's grid, half a pixel off at the
            edges.

    Returns:
        ``(B, 3, H, W)``, clamped to [0, 1] (bicubic overshoots).

    Source: Li et al., AAAI 2023, "Evaluation"; the published code warps as ``legacy``, with the flow estimator that it
    trains with.
    """
    mode, grid = WARPS[warping]
    flow = flow_estimator(restored, sharp)
    return warp(sharp, flow, padding="border", mode=mode, grid=grid).clamp(0, 1)


@torch.no_grad()
def measure(
    restored: Tensor,
    pair: Pair,
    flow_estimator: FlowEstimator | None = None,
    lpips_weights: str | os.PathLike[str] | None = None,
    protocol: Protocol = Protocol(),
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
        protocol: everything but ``crop``, which comes before restoring.

    Returns:
        ``(B,)`` each: ``<reference>/{psnr,ssim,mae,lpips}`` and those of :func:`moved`.
    """
    restored = restored.clamp(0, 1)
    if protocol.round:
        restored = (restored * 255).round() / 255
    references = {"gt": pair.sharp}
    if flow_estimator is not None and not flow_estimator.uses_truth:
        references["deformed_gt"] = deformed(pair.sharp, restored, flow_estimator, protocol.warp)
    if "aligned" in pair.extras:
        references["aligned"] = pair.extras["aligned"]

    values: dict[str, Tensor] = {}
    for name, reference in references.items():
        values[f"{name}/psnr"] = psnr(restored, reference)
        values[f"{name}/ssim"] = ssim(restored, reference, protocol.ssim)
        values[f"{name}/mae"] = mae(restored, reference)
        if lpips_weights is not None:
            values[f"{name}/lpips"] = lpips(restored, reference, lpips_weights)
    return values | moved(restored, references.get("aligned", pair.blurry))


def moved(restored: Tensor, reference: Tensor) -> dict[str, Tensor]:
    """The placement error as figures, pixels: ``placement/{rms,p95,dx,dy}``, ``(B,)`` each; see :mod:`.placement`.

    An image is in place with itself, which need not be measured: that takes longest.
    """
    if torch.equal(restored, reference):
        zero = restored.new_zeros(len(restored))
        return {f"placement/{name}": zero for name in ("rms", "p95", "dx", "dy")}
    placement = placement_error(restored, reference)
    values = {"placement/rms": placement.rms, "placement/p95": placement.p95}
    values["placement/dx"], values["placement/dy"] = placement.mean.unbind(1)
    return values
