"""How blurred each pixel of a pair's blurry image is, learned from both images wherever they lie."""

from __future__ import annotations

import torch
from torch import Tensor

from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.propagation import propagate
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.reblur.matching import matched_radius, reblurred

__all__ = ["UNKNOWN", "pair_radius"]

KNOWN_PX = 0.8  # as far as a radius may spread to be known: the more there are, the better what lies between
KNOWN_SHARE = 0.01  # of the pixels, which may then speak for the others
UNKNOWN = -1.0  # px; of a picture in which less is known


@torch.no_grad()
def pair_radius(blurry: Tensor, sharp: Tensor, there: Tensor, trusted: Tensor, estimator: FlowEstimator) -> Tensor:
    """The radius of the disc of light at every pixel, of whole images.

    The sharp image, in place, is matched with discs (:func:`.matched_radius`) and blurred by what they say. Then it is
    as blurred as the blurry image, and the flow between these two is more exact than that between a sharp and a blurry
    image: aligned again by it, the sharp image is matched again. Where no disc is known, the radius is that of the
    surroundings, up to the edges of the blurry image (:func:`.propagate`). A radius above the largest disc's, 9 px, is
    taken for that.

    Args:
        blurry: ``(B, 3, H, W)``, [0, 1].
        sharp: same shape.
        there: flow from ``blurry`` to ``sharp``, ``(B, 2, H, W)``, px.
        trusted: 1 where the flow can be trusted, else 0, ``(B, 1, H, W)``.
        estimator: of flow.

    Returns:
        ``(B, 1, H, W)``, px; ``UNKNOWN`` everywhere in an image in which less than a hundredth is known.

    Source: ours.
    """
    aligned = warp(sharp, there, mode="grid_bicubic")
    radius, _ = matched_radius(aligned, blurry)
    left = estimator(blurry, reblurred(aligned, radius))
    aligned = warp(sharp, left + warp(there, left), mode="grid_bicubic")
    radius, known = matched_radius(aligned, blurry, KNOWN_PX)
    known = known * trusted
    everywhere = propagate(radius, known, blurry)
    return torch.where(known.mean((1, 2, 3), keepdim=True) >= KNOWN_SHARE, everywhere, UNKNOWN)
