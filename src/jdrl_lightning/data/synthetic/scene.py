"""A layered scene: a photograph with cut-outs of photographs in front, each a plane with affine inverse depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from kornia.color import rgb_to_linear_rgb
from torch import Tensor

from jdrl_lightning.data.synthetic.regions import Box, coordinates

__all__ = ["Layer", "Plane", "canvas", "draw_scene"]


@dataclass(frozen=True)
class Plane:
    """Inverse depth ``level + slope · (x, y)``, x and y in frame-centred pixels; 0 is far, 1 near."""

    level: float
    slope: tuple[float, float]

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self.level + self.slope[0] * x + self.slope[1] * y


@dataclass(frozen=True)
class Layer:
    """Premultiplied linear RGB and coverage ``(4, H, W)``, their extent in the master image, the plane."""

    rgba: Tensor
    extent: Box
    plane: Plane


def canvas(photo: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A part of ``photo`` ``(3, H, W)``, mirrored beyond its edges."""
    rows, columns = (
        _mirror(torch.arange(start, start + length), size)
        for start, length, size in ((top, height, photo.shape[1]), (left, width, photo.shape[2]))
    )
    return photo[:, rows][:, :, columns]


def _mirror(index: Tensor, size: int) -> Tensor:
    index = index % (2 * size)
    return torch.where(index < size, index, 2 * size - 1 - index)


def draw_scene(
    rng: np.random.Generator, photo: Tensor, others: Sequence[Tensor], extent: Box, scale: int
) -> list[Layer]:
    """Background and one to three cut-outs, back to front.

    Args:
        rng: the only source of randomness.
        photo: the background, ``(3, H, W)`` sRGB in [0, 1], at the master's resolution.
        others: photographs used as textures of the cut-outs.
        extent: of the master image.
        scale: master pixels per frame pixel.
    """
    height, width = extent.height, extent.width
    x, y = coordinates(extent, scale)
    reach_x, reach_y = float(x.max()), float(y.max())
    photo = photo.flip(2) if rng.random() < 0.5 else photo
    # Up to an eighth of the extent may be beyond the photograph; this is in the margin around the frame.
    top = _draw_start(rng, -(height // 8), photo.shape[1] - height * 7 // 8)
    left = _draw_start(rng, -(width // 8), photo.shape[2] - width * 7 // 8)
    ones = torch.ones(1, height, width)
    tilt = rng.uniform(-0.15, 0.15, size=2)
    background = Plane(float(rng.uniform(0.05, 0.35)), (float(tilt[0] / reach_x), float(tilt[1] / reach_y)))
    layers = [Layer(torch.cat([rgb_to_linear_rgb(canvas(photo, top, left, height, width)), ones]), extent, background)]
    levels = np.sort(rng.uniform(0.4, 1.0, size=int(rng.integers(1, 4))))
    for level in levels:
        texture = others[int(rng.integers(len(others)))]
        texture = texture.flip(2) if rng.random() < 0.5 else texture
        coverage = cut_out(rng, x, y, reach_x, reach_y, scale)
        tilt = rng.uniform(-0.08, 0.08, size=2)
        plane = Plane(float(level), (float(tilt[0] / reach_x), float(tilt[1] / reach_y)))
        rows, columns = (coverage.amax(dim).nonzero().flatten() for dim in (1, 0))
        if len(rows) == 0:  # entirely outside the margin
            continue
        first, last = (int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)
        part = Box(extent.top + first[0], extent.left + first[1], extent.top + last[0], extent.left + last[1])
        top, left = (
            _draw_start(rng, 0, texture.shape[1] - part.height),
            _draw_start(rng, 0, texture.shape[2] - part.width),
        )
        colour = rgb_to_linear_rgb(canvas(texture, top, left, part.height, part.width))
        coverage = part.of(coverage, extent)[None]
        layers.append(Layer(torch.cat([colour * coverage, coverage]), part, plane))
    return layers


def _draw_start(rng: np.random.Generator, minimum: int, end: int) -> int:
    return int(rng.integers(minimum, max(minimum + 1, end)))


def cut_out(rng: np.random.Generator, x: Tensor, y: Tensor, reach_x: float, reach_y: float, scale: int) -> Tensor:
    """Coverage ``(H, W)`` of a blob, a polygon or a bar, with an antialiased edge one master pixel wide."""
    reach = min(reach_x, reach_y)
    kind = rng.choice(["blob", "polygon", "bar"], p=[0.5, 0.3, 0.2])
    dx, dy = x - float(rng.uniform(-0.8, 0.8)) * reach_x, y - float(rng.uniform(-0.8, 0.8)) * reach_y
    turn = float(rng.uniform(0, 2 * math.pi))
    along, across = math.cos(turn) * dx + math.sin(turn) * dy, -math.sin(turn) * dx + math.cos(turn) * dy
    if kind == "bar":
        inside = float(rng.uniform(0.06, 0.15)) * reach - across.abs()
    elif kind == "polygon":
        sides, radius = int(rng.integers(3, 7)), float(rng.uniform(0.25, 0.5)) * reach
        angles = 2 * math.pi * np.arange(sides) / sides
        edges = [math.cos(a) * along + math.sin(a) * across for a in angles]
        inside = radius - torch.stack(edges).amax(0)
    else:
        distance, angle = torch.hypot(along, 1.4 * across), torch.atan2(across, along)
        edge = torch.full_like(distance, float(rng.uniform(0.25, 0.55)) * reach)
        for order in (2, 3, 5):
            edge = edge * (1 + float(rng.uniform(0, 0.18)) * torch.cos(order * angle + float(rng.uniform(0, 6.3))))
        inside = edge - distance
    return (inside * scale + 0.5).clamp(0, 1)
