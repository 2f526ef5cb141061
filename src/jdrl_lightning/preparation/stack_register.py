"""Registering the frames of a focus stack: from neighbour to neighbour, outwards from a reference frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.flow.gauss_newton import GaussNewton
from jdrl_lightning.flow.warp import in_frame, warp
from jdrl_lightning.metrics.misalignment import scene_likeness

__all__ = ["LONGEST_PX", "chained", "exposures", "reduced", "resized_flow", "stack_flows"]

LONGEST_PX = 1024  # of the images that flow is estimated on: it is smooth, and its errors are small
COARSE_PX = 8.0  # σ beyond which unequal blur hardly changes brightness
CLIPPED = (0.02, 0.95)  # darker or brighter pixels say nothing about exposure


def reduced(image: Tensor, longest_px: int = LONGEST_PX) -> Tensor:
    """``(B, C, H, W)``, float, with its longer side at most ``longest_px``, antialiased."""
    scale = longest_px / max(image.shape[-2:])
    if scale >= 1:
        return image
    sides = [max(1, round(side * scale)) for side in image.shape[-2:]]
    return F.interpolate(image, sides, mode="bilinear", antialias=True)


def resized_flow(flow: Tensor, height: int, width: int) -> Tensor:
    """``(B, 2, h, w)`` on a grid of another size, its vectors in pixels of that grid."""
    if flow.shape[-2:] == (height, width):
        return flow
    scale = flow.new_tensor([width / flow.shape[-1], height / flow.shape[-2]]).view(1, 2, 1, 1)
    return F.interpolate(flow, (height, width), mode="bilinear") * scale


def chained(first: Tensor, second: Tensor) -> Tensor:
    """The flow ``a → c`` of the flows ``a → b`` and ``b → c``, ``(B, 2, H, W)`` each, px."""
    return first + warp(second, first)


def stack_flows(
    frames: Sequence[Tensor], reference: int, estimator: FlowEstimator | None = None
) -> tuple[list[Tensor], list[float]]:
    """Flow from the reference frame to every frame: ``warp(frames[i], flows[i]) ≈ frames[reference]`` but for blur.

    Frames far apart in focus have little in common, neighbours nearly everything: flow is estimated between
    neighbours and chained.

    Args:
        frames: ``(1, 3, H, W)`` each, float in [0, 1], in the order of their focus.
        reference: index of the frame whose geometry the others are brought to.
        estimator: of flow; default: the embedded one.

    Returns:
        ``(1, 2, H, W)`` each, px, zero for the reference; and :func:`scene_likeness` of each frame and the next one
        towards the reference, 1 for the reference.
    """
    estimator = estimator or GaussNewton()
    flows, likeness = [torch.zeros_like(frame[:, :2]) for frame in frames], [1.0] * len(frames)
    for index, nearer in _outwards(len(frames), reference):
        step = estimator(frames[nearer], frames[index])
        flows[index] = chained(flows[nearer], step)
        likeness[index] = scene_likeness(frames[nearer], warp(frames[index], step))
    return flows, likeness


def exposures(frames: Sequence[Tensor], flows: Sequence[Tensor], reference: int) -> Tensor:
    """Factor for each channel of each frame that gives it the reference's exposure and white balance: ``(N, 3)``.

    The median over the image of the ratio of what is left of two neighbours when everything small is smoothed away.

    Args:
        frames: ``(1, 3, H, W)`` each, float in [0, 1].
        flows: see :func:`stack_flows`.
        reference: as there.
    """
    coarse = [smooth(warp(frame, flow), COARSE_PX) for frame, flow in zip(frames, flows, strict=True)]
    covered = [in_frame(flow).bool() for flow in flows]
    factors = torch.ones(len(frames), 3)
    for index, nearer in _outwards(len(frames), reference):
        one, other = coarse[nearer], coarse[index]
        seen = covered[nearer] & covered[index]
        for channel in range(3):
            a, b = one[:, channel], other[:, channel]
            usable = seen[:, 0] & (torch.minimum(a, b) > CLIPPED[0]) & (torch.maximum(a, b) < CLIPPED[1])
            ratio = float((a[usable] / b[usable]).median()) if usable.any() else 1.0
            factors[index, channel] = factors[nearer, channel] * ratio
    return factors


def _outwards(count: int, reference: int) -> Iterator[tuple[int, int]]:
    """Each frame but the reference, and its neighbour towards it, which comes first."""
    yield from ((index, index + 1) for index in range(reference - 1, -1, -1))
    yield from ((index, index - 1) for index in range(reference + 1, count))
