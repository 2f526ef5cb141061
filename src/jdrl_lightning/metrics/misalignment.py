"""How far the two images of a pair are apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from kornia.color import rgb_to_grayscale
from torch import Tensor

from jdrl_lightning.flow.affine import affine_fit, similarity
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.flow.warp import magnitude, warp
from jdrl_lightning.types import Pair, to_float

__all__ = ["ALIGNED_PX", "ALIKE", "Motion", "Summary", "evenly_spaced", "motion", "scene_likeness", "summary"]

# Measured on rendered pairs, blur up to 7 px, over 95 % of the pixels: up to 0.25 px where nothing is misaligned.
ALIGNED_PX = 1.0
FAR_SHARE = 0.1  # of the image's shorter side; the embedded estimator's range is a quarter
# Of scene_likeness, registered by one affine map or warped by dense flow. Measured: 33 rendered pairs with three times
# the usual misalignment come to 0.93 and more, 18 pairs of two different photographs to 0.44 at most.
ALIKE = 0.7
COARSE_PX = 6.0
SAMPLED = 4096  # pixels of a pair for the percentiles


class Motion(NamedTuple):
    """One pair: ``|flow|`` and what an affine map leaves of it, px, at sampled pixels; the fitted similarity.

    ``likeness``: :func:`scene_likeness` of the blurry image and the sharp one warped onto it.
    """

    name: str
    length_px: Tensor
    rest_px: Tensor
    zoom: float
    rotation: float
    shift_px: float
    far: bool
    likeness: float


class Summary(NamedTuple):
    """All pairs: median and 95th percentile over their pixels, px; shares of pairs; largest zoom and shift."""

    pairs: int
    median_px: float
    p95_px: float
    rest_p95_px: float
    above_1px: float
    zoom: float
    shift_px: float
    far: float
    unlike: list[str]


def evenly_spaced(total: int, wanted: int) -> list[int]:
    """``wanted`` of ``total`` indices, evenly spread, or all."""
    count = max(1, min(total, wanted))
    return [index * total // count for index in range(count)]


def motion(pair: Pair, estimator: FlowEstimator, device: torch.device) -> Motion:
    """Measure a single sample; its images may have any integer or float type."""
    blurry, sharp = (to_float(image.to(device))[None] for image in (pair.blurry, pair.sharp))
    flow = estimator(blurry, sharp)
    length, rest = magnitude(flow).flatten(), magnitude(flow - affine_fit(flow)).flatten()
    step = max(1, len(length) // SAMPLED)
    fit = similarity(flow)
    moved = warp(sharp, flow)
    return Motion(
        name=str(pair.name),
        length_px=length[::step].cpu(),
        rest_px=rest[::step].cpu(),
        zoom=float(fit.zoom),
        rotation=float(fit.rotation),
        shift_px=float(torch.hypot(fit.dx, fit.dy)),
        far=float(length.mean()) > FAR_SHARE * min(blurry.shape[-2:]),
        likeness=scene_likeness(blurry, moved),
    )


def scene_likeness(first: Tensor, second: Tensor) -> float:
    """Correlation of two images with everything small smoothed away, in [−1, 1]; 0 if one of them is flat.

    Args:
        first: ``(1, 3, H, W)`` in [0, 1].
        second: same shape, aligned with ``first``.
    """
    coarse = torch.cat([smooth(rgb_to_grayscale(image), COARSE_PX).flatten(1) for image in (first, second)])
    return float(torch.corrcoef(coarse)[0, 1].nan_to_num(0))


def summary(motions: Sequence[Motion]) -> Summary:
    """Statistics over all pairs."""
    length, rest = (torch.cat([getattr(one, name) for one in motions]) for name in ("length_px", "rest_px"))
    means = torch.tensor([float(one.length_px.mean()) for one in motions])
    return Summary(
        pairs=len(motions),
        median_px=float(length.median()),
        p95_px=float(length.quantile(0.95)),
        rest_p95_px=float(rest.quantile(0.95)),
        above_1px=float((means > 1).float().mean()),
        zoom=max((one.zoom for one in motions), key=abs),
        shift_px=max(one.shift_px for one in motions),
        far=sum(one.far for one in motions) / len(motions),
        unlike=[one.name for one in motions if one.likeness < ALIKE],
    )
