"""Colour coding of flow: hue is direction, saturation is length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, pairwise

import torch
from torch import Tensor

from jdrl_lightning.flow.warp import magnitude
from jdrl_lightning.runtime.device_constants import constant

__all__ = ["flow_to_rgb", "wheel"]

# Number of colours from red to yellow, on to green, cyan, blue, magenta, and back to red on the Middlebury wheel.
ARCS = (15, 6, 4, 11, 13, 6)


def wheel() -> Tensor:
    """The 55 colours of the Middlebury wheel, ``(55, 3)`` in [0, 1] (Baker et al., IJCV 2011)."""
    return torch.tensor(COLOURS)


def _colours() -> Iterator[tuple[float, ...]]:
    corners = ((1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0))
    for arc, (start, end) in zip(ARCS, pairwise(corners), strict=True):
        for step in range(arc):
            share = 255 * step // arc / 255
            yield tuple(a + (b - a) * share for a, b in zip(start, end, strict=True))


COLOURS = tuple(_colours())


def flow_to_rgb(flow: Tensor, largest: Tensor | float | None = None) -> Tensor:
    """Middlebury colour coding of flow.

    Args:
        flow: ``(B, 2, H, W)``, pixels.
        largest: length shown at full saturation, pixels, ``(B,)`` or a number; None: the maximum of each image.

    Returns:
        ``(B, 3, H, W)`` in [0, 1]; zero flow is white. No gradient.
    """
    flow = flow.detach()
    length = magnitude(flow)[:, 0]
    if largest is None:
        largest = length.flatten(1).amax(1)
    scale = torch.as_tensor(largest, dtype=flow.dtype, device=flow.device).clamp_min(torch.finfo(flow.dtype).eps)
    radius = length / scale.reshape(-1, 1, 1)
    colours = constant(tuple(chain.from_iterable(COLOURS)), flow).view(-1, 3)
    angle = torch.atan2(-flow[:, 1], -flow[:, 0]) / math.pi
    place = (angle + 1) / 2 * (len(colours) - 1)
    below = place.floor().long()
    share = (place - below)[..., None]
    colour = (1 - share) * colours[below] + share * colours[(below + 1) % len(colours)]
    radius = radius[..., None]
    shown = torch.where(radius <= 1, 1 - radius * (1 - colour), 0.75 * colour)
    return shown.permute(0, 3, 1, 2)
