"""One shift for the whole picture, to whole pixels: the one that leaves the smallest difference."""

from __future__ import annotations

import torch
from torch import Tensor

from jdrl_lightning.flow.base import FlowEstimator


class BlockMatching(FlowEstimator):
    def __init__(self, largest_px: int = 4) -> None:
        self.largest_px = largest_px

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        reach = self.largest_px
        inside = first[..., reach:-reach, reach:-reach]
        shifts = [(dx, dy) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
        moved = (torch.roll(second, (-dy, -dx), (2, 3))[..., reach:-reach, reach:-reach] for dx, dy in shifts)
        misfits = torch.stack([(inside - image).abs().mean((1, 2, 3)) for image in moved], dim=1)
        best = torch.tensor(shifts, dtype=first.dtype, device=first.device)[misfits.argmin(1)]
        return best[:, :, None, None].expand(-1, 2, *first.shape[-2:]).contiguous()
