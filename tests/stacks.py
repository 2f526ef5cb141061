"""Focus stacks of known truth: planes at different depths, each sharp in one frame; frames are zoomed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.types import to_uint

HEIGHT, WIDTH = 160, 224
BLUR_PX = 3.0  # σ for each frame that a plane is away from focus


class Rendered(NamedTuple):
    """``frames`` ``(3, H, W)``, integers; ``sharp`` ``(1, 3, H, W)`` in the first frame's zoom of 1; ``depth``, the
    frame in which each pixel is sharp, ``(1, 1, H, W)``; ``flows``, from the truth to each frame."""

    frames: list[Tensor]
    sharp: Tensor
    depth: Tensor
    flows: list[Tensor]


def zoom_flow(zoom: float, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Where a picture's points are in the same picture enlarged by ``zoom``, less where they were."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32) - (height - 1) / 2,
        torch.arange(width, dtype=torch.float32) - (width - 1) / 2,
        indexing="ij",
    )
    return (zoom - 1) * torch.stack([x, y])[None]


def rendered(
    photo: Tensor, zooms: Sequence[float], exposures: Sequence[float] | None = None, depth: int = 8
) -> Rendered:
    """As many frames as ``zooms``; vertical bands, from near (left) to far, are as many planes."""
    sharp = photo[None, :, 60 : 60 + HEIGHT, 90 : 90 + WIDTH].float() / 255
    generator = torch.Generator().manual_seed(0)
    grain = torch.rand(sharp.shape, generator=generator)  # detail everywhere
    sharp = (0.15 + 0.6 * sharp + 0.2 * smooth(grain, 0.7)).clamp(0, 1)
    count = len(zooms)
    plane = (torch.arange(WIDTH) * count // WIDTH).float().expand(1, 1, HEIGHT, WIDTH)
    frames, flows = [], []
    for number, zoom in enumerate(zooms):
        blurred = sum(
            (plane == p) * smooth(sharp, BLUR_PX * abs(p - number)) for p in range(count)
        )  # each plane blurred for itself: nothing spreads over an edge of depth
        frame = warp(blurred, zoom_flow(1 / zoom), mode="bicubic") * (1.0 if exposures is None else exposures[number])
        frames.append(to_uint(frame[0], depth))
        flows.append(zoom_flow(zoom))
    return Rendered(frames, sharp, plane, flows)


def inside(image: Tensor, margin: int = 16) -> Tensor:
    """Without its border."""
    return image[..., margin:-margin, margin:-margin]


def difference(first: Tensor, second: Tensor) -> float:
    """Mean absolute difference inside."""
    return float((inside(first) - inside(second)).abs().mean())
