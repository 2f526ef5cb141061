"""How images are measured: what is cut off before, which SSIM, how the sharp image is warped onto the restored one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.flow.warp import warp

__all__ = ["Protocol", "crop", "deformed"]

CROPS = {"none": (1, False), "top_left_16": (16, False), "top_left_8": (8, False), "center_8": (8, True)}
WARPS = {"bicubic": ("bicubic", "exact"), "bilinear": ("bilinear", "exact"), "legacy": ("bilinear", "legacy")}
WHOLE = 0.99  # of what a warped mask's pixel is made of
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
        raise ValueError(f"crop rule {rule!r} is not one of {', '.join(CROPS)}")
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
    warping: str = "bicubic",
    valid: Tensor | None = None,
) -> Tensor:
    """Warp the sharp image onto the restored one: ``warp(sharp, flow(restored, sharp))``, the "deformed GT" of SDD.

    It forgives *any* displacement of the output, and resampling blurs the truth, which favours soft outputs (bilinear
    more than bicubic): read it only together with the placement error.

    Args:
        sharp: ``(B, 3, H, W)``, RGB in [0, 1].
        restored: same shape.
        flow_estimator: ``(first, second) -> flow`` with ``warp(second, flow) ≈ first``.
        warping: ``bicubic``; ``bilinear``; ``legacy``: bilinear on the published code's grid, half a pixel off at the
            edges.
        valid: ``(B, 1, H, W)``, 0 where ``sharp`` cannot be trusted; there the result is ``restored``.

    Returns:
        ``(B, 3, H, W)``, clamped to [0, 1] (bicubic overshoots).

    Source: Li et al., AAAI 2023, "Evaluation"; the published code warps as ``legacy``, with the flow estimator that it
    trains with.
    """
    mode, grid = WARPS[warping]
    flow = flow_estimator(restored, sharp)
    found = warp(sharp, flow, padding="border", mode=mode, grid=grid).clamp(0, 1)
    if valid is None:
        return found
    return torch.where(warp(valid, flow, padding="border", grid=grid) > WHOLE, found, restored)
