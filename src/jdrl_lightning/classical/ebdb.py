"""EBDB: defocus from the gradients of reblurred edges, with the scale selected per edge."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from kornia.filters import filter2d
from skimage.feature import canny
from torch import Tensor

from jdrl_lightning.flow.filters import gradient, smooth
from jdrl_lightning.flow.propagation import propagate

__all__ = ["blur_at_edges", "connected_edge_filter", "ebdb_map"]

SCALES = (0.7, 1.0, 1.4, 2.0, 2.8)  # σ of the reblurring, pixels; gradient ratios are between neighbours
DIFFERENCE = 1 / 3  # variance that central differences add, pixels²
QUANTILES = (0.55, 0.8)  # Canny's thresholds, quantiles of the image's gradients
ALIKE = math.cos(math.radians(20))  # an edge that rotates more from the finest scale is a different edge
LASTING = 2  # scales after the finest at which an edge must be found
SIGNAL_TO_NOISE = 30.0
LARGEST_SIGMA = 5.0  # as in the published pipeline, whose maps are scaled by 5
CONNECTIONS = 5  # reach of the edge filter, pixels along the edge


def ebdb_map(blurry: Tensor) -> Tensor:
    """Radius of the circle of confusion, estimated at edges and propagated from them.

    As published: Canny edges at several scales, of which the persistent ones are kept (a scale-consistent edge map); a
    reblurring scale selected per edge; the blur from the ratio of reblurred gradient magnitudes
    (:func:`blur_at_edges`); a filter over connected edge pixels (:func:`connected_edge_filter`); a fast guided filter
    that fills the image (:func:`propagate`). This is what the paper's abstract and the literature describe; neither its
    full text nor its code was used. **Ours are**: the five scales; what counts as persistent (an edge within a pixel,
    rotated by less than 20°); the selected scale (the finest whose gradient exceeds the noise); the weights of the edge
    filter; filling gaps before the guided filter; the thresholds, chosen on rendered pairs.

    The blur is modelled as Gaussian; a disc of the same second moment has radius ``2σ``. For real discs the estimate is
    biased: an isolated edge looks up to twice as wide at fine scales, and more of fine texture survives.

    Args:
        blurry: ``(B, 3, H, W)`` in [0, 1].

    Returns:
        ``(B, 1, H, W)``, pixels, 0 to 10; 0 everywhere for an image without edges.

    Source: Karaali and Jung, IEEE TIP 2018, "Edge-Based Defocus Blur Estimation With Adaptive Scale Selection".
    """
    sigma, edges = blur_at_edges(rgb_to_grayscale(blurry))
    return 2 * propagate(connected_edge_filter(sigma, edges), edges, blurry)


def blur_at_edges(grey: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate the blur ``σ`` of step edges.

    A step blurred by ``σ`` and again by ``s`` has a gradient proportional to ``1/√(σ² + s²)``; with ``R`` the ratio of
    the gradients at ``s`` and ``t > s``, ``σ² = (t² − R² s²)/(R² − 1)``.

    Args:
        grey: ``(B, 1, H, W)`` in [0, 1].

    Returns:
        ``σ`` in pixels, 0 where there is no estimate, and the mask of estimates, 0 or 1; both ``(B, 1, H, W)``.
    """
    gradients = [gradient(smooth(grey, scale)) for scale in SCALES]
    strengths = [g.norm(dim=1, keepdim=True) for g in gradients]
    edges = [_canny(grey, scale) for scale in SCALES]
    alive, lasting = edges[0], torch.zeros_like(grey)
    for turned, strength, found in zip(gradients[1:], strengths[1:], edges[1:], strict=True):
        cosine = (turned * gradients[0]).sum(1, keepdim=True) / (strength * strengths[0]).clamp_min(1e-12)
        alive = alive & (F.max_pool2d(found.to(grey), 3, 1, 1) > 0) & (cosine > ALIKE)
        lasting = lasting + alive
    noise = _noise(grey)
    sigma, known = torch.zeros_like(grey), torch.zeros_like(grey, dtype=torch.bool)
    for k in range(len(SCALES) - 1):
        fine, coarse = SCALES[k] ** 2 + DIFFERENCE, SCALES[k + 1] ** 2 + DIFFERENCE
        ratio = (strengths[k] / strengths[k + 1].clamp_min(1e-12)).square()
        square = (coarse - ratio * fine) / (ratio - 1).clamp_min(1e-4)
        # White noise σₙ has a standard deviation of σₙ / (√(8π) s²) in a derivative of Gaussian of scale s.
        clear = strengths[k] > SIGNAL_TO_NOISE * noise / (math.sqrt(8 * math.pi) * fine)
        # Below -0.3 the gradient decays faster than that of any isolated step: neighbouring edges interfere.
        usable = ~known & (lasting >= max(k, LASTING)) & clear & (ratio > 1) & (square > -0.3)
        sigma = torch.where(usable, square.clamp(0, LARGEST_SIGMA**2).sqrt(), sigma)
        known = known | usable
    return sigma, known.to(grey)


def connected_edge_filter(values: Tensor, edges: Tensor, reach_px: int = CONNECTIONS) -> Tensor:
    """Average ``values`` along edges, over the edge pixels 8-connected within ``reach_px`` steps.

    Args:
        values: ``(B, 1, H, W)``; used only on edges.
        edges: ``(B, 1, H, W)``, 0 or 1.
        reach_px: iterations of a 3×3 mean over edge pixels.

    Returns:
        ``(B, 1, H, W)``, 0 off the edges.
    """
    around = values.new_ones(1, 1, 3, 3)
    neighbours = F.conv2d(edges, around, padding=1).clamp_min(1)
    values = values * edges
    for _ in range(reach_px):
        values = edges * F.conv2d(values, around, padding=1) / neighbours
    return values


def _canny(grey: Tensor, scale: float) -> Tensor:
    found = [
        canny(
            picture[0].double().cpu().numpy(), sigma=scale, low_threshold=QUANTILES[0], high_threshold=QUANTILES[1],
            use_quantiles=True, mode="nearest",
        )
        for picture in grey
    ]  # fmt: skip
    return torch.from_numpy(np.stack(found))[:, None].to(grey.device)


def _noise(grey: Tensor) -> Tensor:
    """Standard deviation of white noise, ``(B, 1, 1, 1)``, from the median of a second difference in x and y."""
    difference = grey.new_tensor([[[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]])
    deviation = filter2d(grey, difference, border_type="replicate").abs() / 6
    return 1.4826 * deviation.flatten(1).median(1).values.view(-1, 1, 1, 1)
