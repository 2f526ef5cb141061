"""Rendered stacks, whose sharp picture, depth and motions are known."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.preparation.stack import fuse_stack
from jdrl_lightning.types import to_float, to_uint
from stacks import difference, inside, rendered

ZOOMS = (1.0, 1.02, 1.04)
NAMES = ("a/0.png", "a/1.png", "a/2.png")


@pytest.mark.parametrize(
    ("zooms", "exposures", "reference"), [(ZOOMS, None, 0), (ZOOMS, (1.0, 0.9, 1.1), 0), ((1.03, 1.0, 0.98), None, 1)]
)
def test_nearer_to_the_truth_than_every_frame(
    photo: torch.Tensor, zooms: tuple[float, ...], exposures: tuple[float, ...] | None, reference: int
) -> None:
    truth = rendered(photo, zooms, exposures)
    stack = fuse_stack(truth.frames, NAMES, reference)
    frames = [warp(to_float(frame)[None], flow) for frame, flow in zip(truth.frames, truth.flows, strict=True)]
    assert 3 * difference(stack.image, truth.sharp) < min(difference(frame, truth.sharp) for frame in frames)
    for found, flow, frame, zoom in zip(stack.flows, truth.flows, stack.frames, zooms, strict=True):
        assert inside(found - flow).norm(dim=1).mean() < 0.4
        assert frame.zoom_percent == pytest.approx(100 * (zoom - 1), abs=0.4)  # a third of a pixel at the border
        assert frame.in_focus == pytest.approx(1 / 3, abs=0.06)
    away = (inside(stack.focus) - inside(truth.depth)).abs() < 0.5
    assert away.float().mean() > 0.93  # the rest is within the measure's window of an edge
    for frame, exposure in zip(stack.frames, exposures or (1.0, 1.0, 1.0), strict=True):
        assert frame.exposure == pytest.approx((1 / exposure,) * 3, abs=0.004)
    assert stack.moved == 0
    assert stack.blurred == 0


def test_what_a_frame_does_not_show_is_not_valid(photo: torch.Tensor) -> None:
    stack = fuse_stack(rendered(photo, ZOOMS).frames, NAMES, 0)
    shown = 1 / ZOOMS[-1] ** 2  # enlarged, the last frame shows less
    assert float(stack.valid.mean()) == pytest.approx(shown, abs=0.015)
    assert inside(stack.valid, 8).all()
    assert torch.isfinite(stack.image).all()


def test_something_moving_is_masked(photo: torch.Tensor) -> None:
    frames = rendered(photo, (1.0, 1.0, 1.0)).frames
    for number, frame in enumerate(frames):
        frame[:, 70:90, 40 + 50 * number : 60 + 50 * number] = torch.tensor([250, 20, 250]).view(3, 1, 1)
    stack = fuse_stack(frames, NAMES, 1)
    for number in range(3):
        assert not stack.valid[..., 74:86, 44 + 50 * number : 56 + 50 * number].any()
    assert 0.03 < stack.moved < 0.2
    assert stack.valid[..., 110:150, 10:200].all()


def test_a_frame_of_another_scene_is_named(photo: torch.Tensor) -> None:
    frames = rendered(photo, ZOOMS).frames
    other = frames[0].flip(1, 2)
    for odd in range(3):
        with pytest.raises(UserError, match=f"^{NAMES[odd]}: too far from its neighbours in the stack, or hardly"):
            fuse_stack([other if number == odd else frame for number, frame in enumerate(frames)], NAMES, 1)


def test_a_stack_without_anything_sharp_is_refused(photo: torch.Tensor) -> None:
    blurred = [to_uint(smooth(to_float(frame)[None], 5.0)[0]) for frame in rendered(photo, ZOOMS).frames]
    with pytest.raises(
        UserError, match=r"a/1.png: \d+ % of what this stack shows are sharp in no frame; add frames focused on"
    ):
        fuse_stack(blurred, NAMES, 1)
