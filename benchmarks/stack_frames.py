"""Frames of a real focus stack, what the picture fused of all shows in their place, and how near a restored one comes.

There is no truth. The fused picture, brought onto a frame by flow from that frame, stands for it; what counts is split
by depth into what the frame shows sharp and what it shows blurred.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from kornia.color import rgb_to_grayscale
from torch import Tensor

from jdrl_lightning import flow, metrics
from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.flow.warp import in_frame, invert, warp
from jdrl_lightning.io.image import read_image
from jdrl_lightning.preparation.stack import Stack
from jdrl_lightning.preparation.stack_register import reduced, resized_flow
from jdrl_lightning.types import to_float

SHARP, BLURRED = 0.5, 1.5  # frames from the one in which a pixel is sharpest: within the one, beyond the other
MIDDLE = 0.5  # of height and width, in which displacement is measured: that is the slowest measure
FINE_PX = 1.0  # σ: what a blur of it takes away is fine detail


class Scene(NamedTuple):
    """A test frame: ``blurry`` and ``target`` ``(1, 3, H, W)`` in [0, 1]; what can be judged, and of it what the frame
    shows sharp and what blurred, 1 or 0, ``(1, 1, H, W)``."""

    name: str
    blurry: Tensor
    target: Tensor
    judged: Tensor
    sharp: Tensor
    blurred: Tensor


class Quality(NamedTuple):
    """PSNR in dB where the frame is blurred and where it is sharp; SSIM; how far details in the middle moved from the
    frame, px; and the energy of fine detail over the fused picture's, in the same two areas."""

    psnr_blurred: float
    psnr_sharp: float
    ssim: float
    moved_px: float
    detail_blurred: float
    detail_sharp: float


def read_reduced(file: Path, longest_px: int) -> Tensor:
    """A picture ``(1, 3, H, W)`` in [0, 1], its longer side at most ``longest_px``."""
    return reduced(to_float(read_image(file))[None], longest_px)


def scene(name: str, blurry: Tensor, stack: Stack, number: int) -> Scene:
    """Frame ``number`` of a fused stack, the fused picture brought onto it by flow from the frame.

    The flow between neighbours that registered the stack, chained and inverted, is only where the search starts.
    """
    start = invert(resized_flow(stack.flows[number], *blurry.shape[-2:]))
    there = flow.create("gauss_newton")(blurry, stack.image, start)
    judged = in_frame(there) * (warp(stack.valid, there) > 0.99)
    away = (warp(stack.focus, there) - number).abs()
    target = warp(stack.image, there, mode="bicubic").clamp(0, 1)
    return Scene(name, blurry, target, judged, judged * (away <= SHARP), judged * (away >= BLURRED))


def quality(restored: Tensor, scene: Scene) -> Quality:
    """How good ``restored``, ``(1, 3, H, W)`` in [0, 1], is; nan for an area that the frame does not have."""
    return Quality(
        psnr_blurred=_psnr(restored, scene.target, scene.blurred),
        psnr_sharp=_psnr(restored, scene.target, scene.sharp),
        ssim=float(metrics.ssim(torch.where(scene.judged > 0, restored, scene.target), scene.target)),
        moved_px=float(metrics.placement_error(middle(restored), middle(scene.blurry)).rms),
        detail_blurred=detail(restored, scene.blurred) / detail(scene.target, scene.blurred),
        detail_sharp=detail(restored, scene.sharp) / detail(scene.target, scene.sharp),
    )


def detail(image: Tensor, area: Tensor) -> float:
    """Mean energy of the fine detail of an image ``(1, 3, H, W)`` where ``area`` is 1."""
    grey = rgb_to_grayscale(image)
    return float(((grey - smooth(grey, FINE_PX)).square() * area).sum() / area.sum())


def middle(image: Tensor) -> Tensor:
    """``(B, C, h, w)`` around the centre of ``(B, C, H, W)``."""
    height, width = (round(MIDDLE * side) for side in image.shape[-2:])
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]


def _psnr(restored: Tensor, target: Tensor, area: Tensor) -> float:
    error = ((restored - target).square().mean(dim=1, keepdim=True) * area).sum() / area.sum()
    return float(-10 * error.log10())
