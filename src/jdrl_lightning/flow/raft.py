"""RAFT, as torchvision has it, with weights from a file."""

from __future__ import annotations

import os
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import optical_flow

from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.pretrained import LearnedFlow

__all__ = ["RAFT", "raft_large", "raft_small"]

DIVISOR = 8
SMALLEST_PX = 128  # a side must leave 16 pixels at an eighth of the resolution
LICENCE = "code BSD-3-Clause (torchvision); its weights come with the terms of their training data"


class RAFT(LearnedFlow):
    """Recurrent all-pairs field transforms. Memory grows with the square of the number of pixels.

    Args:
        name: torchvision's, of the model.
        build: torchvision's, of that name.
        weights: a file with torchvision's state dict; ``random`` for none.
        source: which files there are.
        iterations: updates of the flow; the paper's evaluations use 12 to 32.

    Source: Teed and Deng, ECCV 2020.
    """

    def __init__(
        self,
        name: str,
        build: Callable[..., nn.Module],
        weights: str | os.PathLike[str] | None,
        source: str,
        iterations: int,
    ) -> None:
        if iterations < 1:
            raise UserError(f"flow.iterations={iterations} must be at least 1")
        self.iterations = iterations
        super().__init__(name, lambda: build(weights=None, progress=False), weights, source=source, licence=LICENCE)

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow of the images extended by their edge pixels to the right and below, cut back."""
        height, width = first.shape[-2:]
        missing = (max(SMALLEST_PX - side, -side % DIVISOR) for side in (width, height))
        padding = [extent for side in missing for extent in (0, side)]
        pair = (F.pad(2 * image - 1, padding, mode="replicate") for image in (first, second))
        flows = self.network_on(first.device)(*pair, num_flow_updates=self.iterations)
        return flows[-1][..., :height, :width]


def raft_small(weights: str | os.PathLike[str] | None = None, iterations: int = 12) -> RAFT:
    """990,162 parameters; see :class:`RAFT`."""
    source = "torchvision's raft_small_C_T_V2-01064c6d.pth (optical_flow.Raft_Small_Weights)"
    return RAFT("raft_small", optical_flow.raft_small, weights, source, iterations)


def raft_large(weights: str | os.PathLike[str] | None = None, iterations: int = 12) -> RAFT:
    """5,257,536 parameters; see :class:`RAFT`."""
    source = "torchvision's raft_large_C_T_SKHT_V2-ff5fadd5.pth (optical_flow.Raft_Large_Weights)"
    return RAFT("raft_large", optical_flow.raft_large, weights, source, iterations)
