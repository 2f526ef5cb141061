"""Colours of one image brought to another's before flow is measured: a global map, which cannot move pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.flow.base import FlowEstimator

__all__ = ["ColorMatched", "match_color"]

CELL_PX = 24  # colours are compared as means over cells, which blur and a shift of few px hardly change
PULL = 1e-4  # towards no change, as a share of the number of cells: grey images leave the map undetermined


def match_color(image: Tensor, like: Tensor) -> Tensor:
    """The affine map of colours that fits ``image`` to ``like`` best in least squares, applied to ``image``.

    One map ``c ↦ M c + m`` for each image: exposure, white balance, contrast and colour casts, roughly a tone curve.

    Args:
        image: ``(B, 3, H, W)`` in [0, 1].
        like: same shape; roughly the same scene at the same place.

    Returns:
        ``(B, 3, H, W)``, not clamped.
    """
    ours, theirs = (F.avg_pool2d(x, CELL_PX, ceil_mode=True).flatten(2).transpose(1, 2) for x in (image, like))
    terms = torch.cat([ours, torch.ones_like(ours[..., :1])], dim=2)
    pull = PULL * terms.shape[1] * torch.eye(4, dtype=image.dtype, device=image.device)
    normal = terms.transpose(1, 2) @ terms + pull
    change, _ = torch.linalg.solve_ex(normal, terms.transpose(1, 2) @ (theirs - ours))  # solve waits for the device
    return image + torch.einsum("bic,bihw->bchw", change[:, :3], image) + change[:, 3, :, None, None]


class ColorMatched(FlowEstimator):
    """``estimator`` on images whose colours match: the first image gets the second's.

    Args:
        estimator: of flow.
    """

    def __init__(self, estimator: FlowEstimator) -> None:
        self._estimator = estimator
        self.uses_truth, self.uses_start = estimator.uses_truth, estimator.uses_start
        self.licence = estimator.licence

    @property
    def identity(self) -> str:
        """The estimator's, and that colours are matched."""
        return f"{super().identity} of {self._estimator.identity}"

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return self._estimator.estimate(match_color(first, second).clamp(0, 1), second)

    def estimate_from(self, first: Tensor, second: Tensor, start: Tensor) -> Tensor:
        return self._estimator.estimate_from(match_color(first, second).clamp(0, 1), second, start)
