"""TV-L1 of scikit-image, for judging: another estimator than the one that trains. On the host; nothing to train."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from skimage.registration import optical_flow_tvl1
from torch import Tensor

from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.gauss_newton import grey

__all__ = ["TVL1"]

# Stiffer than its authors have it: free, the flow bends until the warped sharp image fits the noise and the blur of an
# output, which then scores 2.2 to 4.7 dB more than under the true flow; so 0.1 to 0.7 dB (benchmarks/deformed_gt.py).
PRESMOOTH_PX, ATTACHMENT = 2.5, 10.0  # and half resolution; scikit-image's own attachment is 15
SMALLEST_PX = 32  # of the image; scikit-image cannot differentiate single pixels


class TVL1(FlowEstimator):
    """Piecewise smooth flow at half resolution.

    Source: Zach, Pock and Bischof, DAGM 2007, as ``skimage.registration.optical_flow_tvl1``.
    """

    licence = "BSD-3-Clause (scikit-image)"

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """One pair after the other, on smoothed grey; the flow returns to the images' device."""
        ours, theirs = (_halved(grey(image, PRESMOOTH_PX)) for image in (first, second))
        flows = []
        for one, other in zip(ours, theirs, strict=True):
            rows, columns = optical_flow_tvl1(one, other, attachment=ATTACHMENT)
            flows.append(np.stack([columns, rows]))
        height, width = first.shape[-2:]
        half = torch.from_numpy(np.stack(flows)).to(first)
        return 2 * F.interpolate(half, scale_factor=2, mode="bilinear")[..., :height, :width]


def _halved(image: Tensor) -> np.ndarray:
    """``(B, H/2, W/2)`` of ``(B, 1, H, W)`` with edges repeated below and to the right: even sides, at least 32 px."""
    below, right = (max(SMALLEST_PX - side, side % 2) for side in image.shape[-2:])
    return F.avg_pool2d(F.pad(image, (0, right, 0, below), mode="replicate"), 2)[:, 0].cpu().numpy()
