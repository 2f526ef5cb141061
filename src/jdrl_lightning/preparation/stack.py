"""A focus stack as training pairs: each frame, and the picture fused of all that is sharp everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.affine import affine_fit, similarity
from jdrl_lightning.flow.warp import in_frame, magnitude, warp
from jdrl_lightning.metrics.misalignment import ALIKE
from jdrl_lightning.preparation.focus_measure import up
from jdrl_lightning.preparation.stack_fusion import fuse
from jdrl_lightning.preparation.stack_masks import moving, nowhere_sharp
from jdrl_lightning.preparation.stack_register import exposures, reduced, resized_flow, stack_flows
from jdrl_lightning.types import to_float

__all__ = ["Stack", "StackFrame", "fuse_stack"]

EQUAL = 0.005  # exposures that differ by less are the same
BLURRED_SHARE = 0.5  # of what has detail, from which a stack has missed its subject


class StackFrame(NamedTuple):
    """How a frame lies to the fused picture, in px of the full resolution.

    Attributes:
        name: of its file.
        median_px, p95_px: of the displacement.
        zoom_percent: of the frame relative to the fused picture.
        beyond_px: 95th percentile of what an affine motion leaves of the displacement.
        in_focus: share of the pixels that are sharpest in this frame.
        exposure: factor for each channel that gives it the reference's exposure; 1 where they are equal.
    """

    name: str
    median_px: float
    p95_px: float
    zoom_percent: float
    beyond_px: float
    in_focus: float
    exposure: tuple[float, float, float]


class Stack(NamedTuple):
    """A fused stack, in its reference frame's geometry.

    Attributes:
        image: ``(1, 3, H, W)``, in [0, 1].
        focus: the frame in which a pixel is sharpest, from 0, fractional: ``(1, 1, H, W)``.
        valid: 1 where the picture can be trusted, else 0: ``(1, 1, H, W)``.
        flows: to each frame, ``warp(frame, flow) ≈ image`` but for blur: ``(1, 2, h, w)``, px of that grid.
        frames: what was measured of each.
        covered, moved, blurred: shares of the pixels that all frames show, that moved, that no frame shows sharp.
    """

    image: Tensor
    focus: Tensor
    valid: Tensor
    flows: list[Tensor]
    frames: list[StackFrame]
    covered: float
    moved: float
    blurred: float


def fuse_stack(
    frames: Sequence[Tensor], names: Sequence[str], reference: int, show: Callable[[], None] = lambda: None
) -> Stack:
    """Register and fuse the frames of one stack.

    Args:
        frames: ``(3, H, W)`` each, ``uint8`` or ``uint16``, of equal size, in the order of their focus.
        names: of the frames' files.
        reference: index of the frame whose geometry and exposure the picture gets.
        show: called after each frame.

    Raises:
        UserError: a frame shows another scene, or hardly anything is sharp in any frame.
    """
    height, width = frames[0].shape[-2:]
    small = [reduced(to_float(frame)[None]) for frame in frames]
    flows, likeness = stack_flows(small, reference)
    _check_scene(likeness, names, reference)
    factors = exposures(small, flows, reference)
    factors = torch.where((factors - 1).abs().amax(dim=1, keepdim=True) < EQUAL, torch.ones_like(factors), factors)
    gains = [factor.view(1, 3, 1, 1) for factor in factors]
    moved = moving([warp(one, flow) * gain for one, flow, gain in zip(small, flows, gains, strict=True)])
    covered = torch.ones(1, 1, height, width)

    def registered(number: int) -> tuple[Tensor, Tensor]:
        flow = resized_flow(flows[number], height, width)
        content = in_frame(flow)
        covered.mul_(content)
        show()
        return warp(to_float(frames[number])[None], flow, mode="grid_bicubic") * gains[number], content

    image, focus = fuse(registered, len(frames))
    covered_small = reduced(covered, max(flows[0].shape[-2:])) > 0.99
    moved = moved * covered_small
    blurred, share = nowhere_sharp(image)
    if share > BLURRED_SHARE:
        raise UserError(
            f"{names[reference]}: {100 * share:.0f} % of what this stack shows are sharp in no frame; add frames "
            "focused on the subject"
        )
    valid = covered * (up(moved, image) == 0) * (up(blurred, image) < 0.5)
    focus = up(focus, image)
    return Stack(
        image=image,
        focus=focus,
        valid=valid,
        flows=flows,
        frames=[
            _measured(name, resized_flow(flow, height, width), focus, number, factor)
            for number, (name, flow, factor) in enumerate(zip(names, flows, factors, strict=True))
        ],
        covered=float(covered.mean()),
        moved=float(moved.mean()),
        blurred=float(blurred.mean()),
    )


def _check_scene(likeness: Sequence[float], names: Sequence[str], reference: int) -> None:
    unlike = [number for number, alike in enumerate(likeness) if alike < ALIKE]
    if not unlike:
        return
    beside = {number for number in (reference - 1, reference + 1) if 0 <= number < len(names)}
    odd = reference if len(beside) > 1 and beside <= set(unlike) else min(unlike, key=lambda n: abs(n - reference))
    raise UserError(
        f"{names[odd]}: too far from its neighbours in the stack, or hardly the same scene; remove it, or leave it out "
        "with frames=…"
    )


def _measured(name: str, flow: Tensor, focus: Tensor, number: int, factor: Tensor) -> StackFrame:
    every = max(1, flow[0, 0].numel() // 2**18)
    length, rest = (magnitude(one).flatten()[::every] for one in (flow, flow - affine_fit(flow)))
    red, green, blue = factor.tolist()
    return StackFrame(
        name=Path(name).stem,
        median_px=float(length.median()),
        p95_px=float(length.quantile(0.95)),
        zoom_percent=100 * float(similarity(flow).zoom),
        beyond_px=float(rest.quantile(0.95)),
        in_focus=float((focus.round() == number).float().mean()),
        exposure=(red, green, blue),
    )
