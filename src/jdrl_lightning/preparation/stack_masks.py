"""What a fused focus stack must not be trusted with: things that moved, and places that no frame shows sharp."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.preparation.focus_measure import down, local_energy, up

__all__ = ["moving", "nowhere_sharp"]

BLURS_PX = (0.0, 1.0, 2.0, 4.0, 7.0)  # σ, of which one nearly explains what two neighbours of a still scene differ by
# A residual above this moved. On two real stacks of still scenes at most 0.01 % of the pixels are above, highlights.
MOVED = 0.15
GROWN_PX = 9
# Energy of the finest band as a share of that two octaves below: a blur of σ = 3 px lowers the median over two real
# pictures from 0.2 to 0.01.
SHARP_SHARE = 0.01
TEXTURE = (4 / 255) ** 2  # energy in that band below which nothing can be said


def moving(frames: Sequence[Tensor]) -> Tensor:
    """1 where something moved from one frame to the next, else 0: ``(1, 1, H, W)``.

    There no blur of the one frame comes near the other one.

    Args:
        frames: registered and equally exposed, ``(1, 3, H, W)``, in the order of their focus.
    """
    found = torch.zeros_like(frames[0][:, :1])
    for one, other in pairwise(frames):
        residual = torch.full_like(found, torch.inf)
        for blur in BLURS_PX:
            for difference in (one - smooth(other, blur), smooth(one, blur) - other):
                residual = torch.minimum(residual, smooth(difference, 2.0).abs().amax(dim=1, keepdim=True))
        found = torch.maximum(found, (residual > MOVED).to(found.dtype))
    return F.max_pool2d(found, 2 * GROWN_PX + 1, stride=1, padding=GROWN_PX)


def nowhere_sharp(image: Tensor) -> tuple[Tensor, float]:
    """1 where a fused picture has coarse detail but no fine one, so that no frame was in focus.

    Args:
        image: ``(1, 3, H, W)``, in [0, 1].

    Returns:
        ``(1, 1, h, w)`` at a quarter of the resolution; and the share that is 1 of the pixels with coarse detail.
    """
    energies = []
    for _ in range(3):
        small = down(image)
        energies.append(local_energy(image - up(small, image)))
        image = small
    fine = F.interpolate(energies[0], energies[2].shape[-2:], mode="area")
    textured = energies[2] > TEXTURE
    blurred = textured & (smooth(fine, 2.0) < SHARP_SHARE * smooth(energies[2], 2.0))
    return blurred.to(image.dtype), float(blurred.sum() / textured.sum().clamp_min(1))
