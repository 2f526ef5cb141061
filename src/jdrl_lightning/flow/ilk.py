"""Iterative Lucas-Kanade of scikit-image, for judging: another estimator than the one that trains. On the host."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from skimage.registration import optical_flow_ilk
from torch import Tensor

from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.gauss_newton import grey

__all__ = ["ILK"]

# A narrower window, full resolution, or TV-L1 bends the flow to the noise and blur of the images: the warped sharp
# image then fits a blurry output better than it does under the true flow, up to 1.4 dB (docs/evaluation.md).
RADIUS_PX, WARPS = 11, 10  # of the Gaussian window, at half resolution
SMALLEST_PX = 32  # of the image; scikit-image cannot differentiate single pixels


class ILK(FlowEstimator):
    """Smooth flow at half resolution; nothing to train.

    Source: Le Besnerais and Champagnat, ICIP 2005, as ``skimage.registration.optical_flow_ilk``.
    """

    licence = "BSD-3-Clause (scikit-image)"

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """One pair after the other, on smoothed grey; the flow returns to the images' device."""
        ours, theirs = (_halved(grey(image)) for image in (first, second))
        flows = []
        for one, other in zip(ours, theirs, strict=True):
            rows, columns = optical_flow_ilk(one, other, radius=RADIUS_PX, num_warp=WARPS, gaussian=True)
            flows.append(np.stack([columns, rows]))
        height, width = first.shape[-2:]
        half = torch.from_numpy(np.stack(flows)).to(first)
        return 2 * F.interpolate(half, scale_factor=2, mode="bilinear")[..., :height, :width]


def _halved(image: Tensor) -> np.ndarray:
    """``(B, H/2, W/2)`` of ``(B, 1, H, W)`` with edges repeated below and to the right: even sides, at least 32 px."""
    below, right = (max(SMALLEST_PX - side, side % 2) for side in image.shape[-2:])
    return F.avg_pool2d(F.pad(image, (0, right, 0, below), mode="replicate"), 2)[:, 0].cpu().numpy()
