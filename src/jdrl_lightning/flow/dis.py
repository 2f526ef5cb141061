"""Dense inverse search of OpenCV, tuned for images of unequal blur. On the host; nothing to train."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.gauss_newton import grey

__all__ = ["DIS"]

# Under a blur of 6 px the medium preset's own leave 30 % of the pixels more than a pixel off, and these 9 %.
PATCH_PX, STRIDE_PX = 16, 4
SMOOTHNESS, REFINEMENTS = 40.0, 10  # of the variational refinement
PRESMOOTH_PX = 2.0
SMALLEST_PX = 32  # below, OpenCV goes down to single pixels or gives up


class DIS(FlowEstimator):
    """Flow by patches at half resolution, refined variationally.

    Raises:
        UserError: OpenCV is not installed.

    Source: Kroeger et al., ECCV 2016, with the refinement of ``cv2.DISOpticalFlow``.
    """

    def __init__(self) -> None:
        _opencv()

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """One pair after the other, on 8-bit grey; the flow returns to the images' device."""
        height, width = first.shape[-2:]
        ours, theirs = (_eight_bit(image) for image in (first, second))
        flows = [_solver().calc(one, other, None) for one, other in zip(ours, theirs, strict=True)]
        flow = torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2)[..., :height, :width]
        return flow.to(first.device)


def _opencv() -> ModuleType:
    try:
        return import_module("cv2")
    except ImportError as error:
        raise UserError("flow=dis needs OpenCV: pip install 'jdrl_lightning[opencv]'") from error


def _solver() -> Any:
    """A new one for each pair: that costs microseconds, and a solver that saw a small image keeps its finer scale."""
    cv2 = _opencv()
    solver = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    solver.setPatchSize(PATCH_PX)
    solver.setPatchStride(STRIDE_PX)
    solver.setVariationalRefinementAlpha(SMOOTHNESS)
    solver.setVariationalRefinementIterations(REFINEMENTS)
    return solver


def _eight_bit(image: Tensor) -> np.ndarray:
    """``(B, H, W)`` uint8 grey of ``(B, 3, H, W)``; edges are repeated to the right and below up to 32 px."""
    missing = [max(SMALLEST_PX - side, 0) for side in image.shape[-2:]]
    smoothed = F.pad(grey(image, PRESMOOTH_PX), (0, missing[1], 0, missing[0]), mode="replicate")
    return (255 * smoothed[:, 0]).round().byte().cpu().numpy()
