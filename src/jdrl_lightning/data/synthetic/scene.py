"""A layered scene: a photograph behind, cut-outs of photographs before it, each a plane of affine inverse depth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from jdrl_lightning.data.synthetic.regions import Box, axes

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
    """Premultiplied linear RGB and coverage ``(4, H, W)``, the part of the master picture they cover, the plane."""

    rgba: Tensor
    extent: Box
    plane: Plane


def canvas(photo: Tensor, top: int, left: int, height: int, width: int, flipped: bool = False) -> Tensor:
    """A part of ``photo`` ``(3, H, W)`` that may reach beyond it: the photograph goes on mirrored.

    With ``flipped`` that of the photograph seen in a mirror, which is never made as a whole.
    """
    if flipped:
        return canvas(photo, top, photo.shape[2] - left - width, height, width).flip(2)
    if 0 <= top <= photo.shape[1] - height and 0 <= left <= photo.shape[2] - width:
        return photo[:, top : top + height, left : left + width]
    whole = photo.new_empty(len(photo), height, width)
    for rows, photo_rows, upside_down in _mirrored(top, height, photo.shape[1]):
        for columns, photo_columns, reversed_ in _mirrored(left, width, photo.shape[2]):
            mirrored = [dim for dim, turned in ((1, upside_down), (2, reversed_)) if turned]
            whole[:, rows, columns] = photo[:, photo_rows, photo_columns].flip(mirrored)
    return whole


def _mirrored(start: int, length: int, size: int) -> Iterator[tuple[slice, slice, bool]]:
    """Pieces of an axis that goes on mirrored: where each comes to lie, its part of the photograph, whether turned."""
    at = start
    while at < start + length:
        repetition, first = divmod(at, size)
        count = min(size - first, start + length - at)
        turned = bool(repetition % 2)
        first = size - first - count if turned else first
        yield slice(at - start, at - start + count), slice(first, first + count), turned
        at += count


def draw_scene(
    rng: np.random.Generator, photo: Tensor, others: Sequence[Tensor], extent: Box, scale: int
) -> list[Layer]:
    """Background and one to three nearer cut-outs, far to near.

    Args:
        rng: every choice comes from it.
        photo: the background, ``(3, H, W)`` linear light, at the master's resolution.
        others: photographs that the cut-outs are made of, likewise.
        extent: of the master picture.
        scale: master pixels a frame pixel.
    """
    height, width = extent.height, extent.width
    x, y = axes(extent, scale)
    reach_x, reach_y = float(x[0, -1]), float(y[-1, 0])
    flipped = rng.random() < 0.5
    # The margin around the frame may lie beyond the photograph, an eighth of the whole at most.
    top = _anywhere(rng, -(height // 8), photo.shape[1] - height * 7 // 8)
    left = _anywhere(rng, -(width // 8), photo.shape[2] - width * 7 // 8)
    tilt = rng.uniform(-0.15, 0.15, size=2)
    background = Plane(float(rng.uniform(0.05, 0.35)), (float(tilt[0] / reach_x), float(tilt[1] / reach_y)))
    rgba = torch.ones(4, height, width)
    rgba[:3] = canvas(photo, top, left, height, width, flipped)
    layers = [Layer(rgba, extent, background)]
    levels = np.sort(rng.uniform(0.4, 1.0, size=int(rng.integers(1, 4))))
    for level in levels:
        texture = others[int(rng.integers(len(others)))]
        flipped = rng.random() < 0.5
        coverage, around = cut_out(rng, x, y, reach_x, reach_y, scale)
        tilt = rng.uniform(-0.08, 0.08, size=2)
        plane = Plane(float(level), (float(tilt[0] / reach_x), float(tilt[1] / reach_y)))
        inside = coverage > 0
        rows, columns = (inside.any(dim).nonzero().flatten().tolist() for dim in (1, 0))
        if not rows:  # it lies wholly beyond the margin
            continue
        drawn = Box(
            around.top + rows[0], around.left + columns[0], around.top + rows[-1] + 1, around.left + columns[-1] + 1
        )
        part = Box(
            extent.top + drawn.top, extent.left + drawn.left, extent.top + drawn.bottom, extent.left + drawn.right
        )
        top, left = _anywhere(rng, 0, texture.shape[1] - part.height), _anywhere(rng, 0, texture.shape[2] - part.width)
        rgba = torch.empty(4, part.height, part.width)
        rgba[3] = drawn.of(coverage, around)
        torch.mul(canvas(texture, top, left, part.height, part.width, flipped), rgba[3], out=rgba[:3])
        layers.append(Layer(rgba, part, plane))
    return layers


def _anywhere(rng: np.random.Generator, least: int, end: int) -> int:
    return int(rng.integers(least, max(least + 1, end)))


def cut_out(
    rng: np.random.Generator, x: Tensor, y: Tensor, reach_x: float, reach_y: float, scale: int
) -> tuple[Tensor, Box]:
    """Coverage of a blob, a polygon or a bar, its edge one master pixel soft, and the rows and columns around it.

    Args:
        x, y: ``(1, W)`` and ``(H, 1)``, frame pixels from the frame's centre, one master pixel apart.
        reach_x, reach_y: their largest values.
        scale: master pixels a frame pixel.
    """
    reach = min(reach_x, reach_y)
    kind = rng.choice(["blob", "polygon", "bar"], p=[0.5, 0.3, 0.2])
    middle = float(rng.uniform(-0.8, 0.8)) * reach_x, float(rng.uniform(-0.8, 0.8)) * reach_y
    turn = float(rng.uniform(0, 2 * math.pi))
    along_x, along_y = math.cos(turn), math.sin(turn)

    if kind == "bar":
        half = float(rng.uniform(0.06, 0.15)) * reach
        radius = math.inf

        def inside(along: Tensor, across: Tensor) -> Tensor:
            return half - across.abs()

    elif kind == "polygon":
        sides, apothem = int(rng.integers(3, 7)), float(rng.uniform(0.25, 0.5)) * reach
        radius = apothem / math.cos(math.pi / sides)

        def inside(along: Tensor, across: Tensor) -> Tensor:
            angles = 2 * math.pi * np.arange(sides) / sides
            return apothem - reduce(torch.maximum, (math.cos(a) * along + math.sin(a) * across for a in angles))

    else:
        mean = float(rng.uniform(0.25, 0.55)) * reach
        waves = [(order, float(rng.uniform(0, 0.18)), float(rng.uniform(0, 6.3))) for order in (2, 3, 5)]
        radius = mean * math.prod(1 + height for _, height, _ in waves)

        def inside(along: Tensor, across: Tensor) -> Tensor:
            distance, angle = torch.hypot(along, 1.4 * across), torch.atan2(across, along)
            edge = torch.full_like(distance, mean)
            for order, height, phase in waves:
                edge = edge * (1 + height * torch.cos(order * angle + phase))
            return edge - distance

    (top, bottom), (left, right) = (
        torch.searchsorted(line, torch.tensor([centre - radius - 1, centre + radius + 1])).tolist()
        for line, centre in ((y[:, 0], middle[1]), (x[0], middle[0]))
    )
    dx, dy = x[:, left:right] - middle[0], y[top:bottom] - middle[1]
    along, across = along_x * dx + along_y * dy, -along_y * dx + along_x * dy
    return (inside(along, across) * scale + 0.5).clamp(0, 1), Box(top, left, bottom, right)
