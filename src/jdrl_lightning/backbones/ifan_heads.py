"""IFAN's training-only parts: a head that predicts reblurring filters from the deblurring ones, a disparity loss."""

from __future__ import annotations

from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.adaptive import TAPS, iterative_adaptive_convolution, step_filters
from jdrl_lightning.backbones.base import Backbone, pad_to_multiple
from jdrl_lightning.backbones.ifan_blocks import ResidualBlocks, conv, initialise
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.types import Pair, Restored

__all__ = ["IFANHeads"]

SCALE = 8  # the filters' resolution is 1/8


class _DisparityEstimator(Protocol):
    """What the heads need from IFAN."""

    def estimate_disparity(self, view: Tensor) -> Tensor:
        """Disparity ``(B, 1, H/8, W/8)``, px at 1/8 resolution, of a view ``(B, 3, H, W)``."""


class IFANHeads(nn.Module):
    """IFAN's two auxiliary losses, at 1/8 resolution; follows :meth:`Backbone.auxiliary`.

    ``filter_reblur``: a network maps the predicted deblurring filters to filters for three channels, which, applied to
    the sharp image, must give the blurry one. ``disparity``, with dual-pixel views: the right view, shifted
    horizontally by the disparity predicted from it (px at 1/8 resolution), must give the left one.

    The published training uses aligned pairs. With misaligned ones the reblurring filters must shift as well as blur;
    at 1/8 resolution the shift is small.

    Args:
        n_filters, shared_kernel_bug: see :class:`~jdrl_lightning.backbones.ifan.IFAN`.
        channels: of the features that the deblurring filters apply to.

    Source: Lee et al., CVPR 2021 (defocus disparity estimation, reblurring); sizes as in the published code.
    """

    def __init__(self, n_filters: int, channels: int, shared_kernel_bug: bool) -> None:
        super().__init__()
        self.n_filters, self.shared_kernel_bug = n_filters, shared_kernel_bug
        per_channel = n_filters * (2 * TAPS + 1)
        self.reblur = nn.Sequential(
            conv(per_channel * channels, channels),
            ResidualBlocks(channels, 2),
            ResidualBlocks(channels, 2),
            nn.Conv2d(channels, per_channel * 3, 3, padding=1),
        )
        initialise(self)

    def forward(self, backbone: Backbone, restored: Restored, pair: Pair) -> dict[str, Tensor]:
        """Unweighted scalars ``filter_reblur`` and, for pairs with ``left`` and ``right``, ``disparity``.

        Args:
            backbone: IFAN, in training mode; called again only for the disparity.
            restored: its output for ``pair.blurry``; ``aux["filters"]`` is used.
            pair: float RGB in [0, 1].
        """
        steps = step_filters(self.reblur(restored.aux["filters"]), self.n_filters)
        sharp = pad_to_multiple(pair.sharp, SCALE)[..., ::SCALE, ::SCALE]  # "nearest", as published
        reblurred = sharp + iterative_adaptive_convolution(sharp, steps, self.shared_kernel_bug, last_activation=False)
        losses = {"filter_reblur": F.mse_loss(reblurred, _small(pair.blurry))}
        if "left" in pair.extras and "right" in pair.extras:
            left, right = pair.extras["left"], pair.extras["right"]
            network = cast(_DisparityEstimator, backbone.network)
            disparity = network.estimate_disparity(pad_to_multiple(right, SCALE))
            flow = torch.cat([disparity, torch.zeros_like(disparity)], dim=1)
            losses["disparity"] = F.mse_loss(warp(_small(right), flow, padding="zeros"), _small(left))
        return losses


def _small(image: Tensor) -> Tensor:
    return F.avg_pool2d(pad_to_multiple(image, SCALE), SCALE)
