"""A pair whose displacement is known, and an estimator that knows it."""

from __future__ import annotations

import skimage.data
import torch

from jdrl_lightning.types import Pair


class ConstantFlow:
    """An estimator that knows the answer: everything moved by (dx, dy)."""

    uses_truth = False

    def __init__(self, dx: float, dy: float) -> None:
        self.shift = torch.tensor([dx, dy])

    def __call__(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return self.shift.to(first.dtype).view(1, 2, 1, 1).expand(len(first), 2, *first.shape[-2:])


def displaced_pair() -> Pair:
    """A photograph, the same displaced (what stood at column x stands at x - 2), and a blurred version in place."""
    aligned = torch.from_numpy(skimage.data.astronaut()[:96, 150:278].copy()).permute(2, 0, 1)[None].float() / 255
    sharp = torch.roll(aligned, (0, -2), (-2, -1))
    blurry = torch.nn.functional.avg_pool2d(aligned, 5, 1, 2, count_include_pad=False)
    return Pair(blurry, sharp, ["astronaut"], {"aligned": aligned})
