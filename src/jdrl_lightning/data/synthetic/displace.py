"""The sharp shot: each layer of a scene seen from where the displacement puts it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.data.synthetic import displace_cpu
from jdrl_lightning.data.synthetic.compiled import compiled_for
from jdrl_lightning.data.synthetic.misalignment import Displacement, invert_at
from jdrl_lightning.data.synthetic.regions import Box, coordinates, cut
from jdrl_lightning.data.synthetic.scene import Layer
from jdrl_lightning.flow.warp import cubic_weights

__all__ = ["displaced"]

GRID = 4  # frame pixels between points at which the displacement is inverted: bilinear in between, 3e-3 px off
EDGE = 1e-3  # coverage at which a pixel of the frame counts as mixed


def displaced(layers: Sequence[Layer], frame: Box, margin: int, scale: int, displacement: Displacement) -> Tensor:
    """The layers at ``q`` as the blurry shot has them at ``q + e(q)``, blended, sampled by areas of the frame's pixels.

    Where no edge of a layer lies in a pixel, blending and averaging may change places: there a layer is averaged first
    and interpolated once a pixel, by the cubic that reproduces parabolas. On edges each of the master's pixels is.

    Args:
        layers: far to near; the first covers the frame and ``margin`` around it.
        frame: of the master picture.
        margin: of the scene around the frame, master pixels.
        scale: master pixels a frame pixel, 2.
        displacement: the sharp shot's against the blurry one.

    Returns:
        ``(3, h, w)`` linear light.
    """
    library = compiled_for(layers[0].rgba)
    if library is not None and scale == 2:
        return displace_cpu.displaced(library, layers, frame, margin, displacement, EDGE)
    height, width = frame.height // scale, frame.width // scale
    light, mixed = torch.zeros(3, height, width), torch.zeros(height, width, dtype=torch.bool)
    drawn = []
    for layer in layers:
        forward = _forward(layer, displacement)
        x, y = (at[::16, ::16] for at in coordinates(frame.grown(margin), scale))
        reach = math.ceil((float(forward(x, y).abs().max()) + 1) * scale) + 2
        part = layer.extent.grown(reach).common(frame)
        if part.empty:
            continue
        seen = Box(*((edge - start) // scale for edge, start in zip(part[:2], frame[:2], strict=True)),
                   *(-((start - edge) // scale) for edge, start in zip(part[2:], frame[:2], strict=True)))  # fmt: skip
        table = _Table(layer, frame.grown(min(reach + 3, margin)))
        rows, columns = slice(seen.top, seen.bottom), slice(seen.left, seen.right)
        near = table.areas(seen, frame, scale, forward)
        behind = light[:, rows, columns]
        behind.mul_(1 - near[3]).add_(near[:3])
        mixed[rows, columns] |= (near[3] > EDGE) & (near[3] < 1 - EDGE)
        drawn.append((table, forward))
    mixed = F.max_pool2d(mixed[None].float(), 3, 1, 1)[0] > 0  # the cubic reaches beyond the edge that it interpolates
    row, column = mixed.nonzero().unbind(1)
    if len(row):
        light[:, row, column] = _each_master_pixel(drawn, row, column, frame, scale)
    return light


def _forward(layer: Layer, displacement: Displacement) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: displacement(x, y, layer.plane(x, y))


def _each_master_pixel(
    drawn: Sequence[tuple[_Table, Callable[[Tensor, Tensor], Tensor]]],
    row: Tensor,
    column: Tensor,
    frame: Box,
    scale: int,
) -> Tensor:
    """``(3, N)``: frame pixels blended at each of the master's pixels in them, then averaged."""
    within = torch.arange(scale)
    down = (frame.top + scale * row[:, None, None] + within[:, None]).expand(-1, scale, scale).flatten()
    across = (frame.left + scale * column[:, None, None] + within).expand(-1, scale, scale).flatten()
    x, y = ((at + 0.5) / scale for at in (across, down))
    light = torch.zeros(len(x), 3)
    for table, forward in drawn:
        pull = invert_at(forward, x, y) * scale
        near = table.at(across + pull[0], down + pull[1])
        light = near[:, :3] + (1 - near[:, 3:]) * light
    return light.view(len(row), scale * scale, 3).mean(1).T


class _Table:
    """A layer's pixels as a table, four values a row.

    Args:
        layer: of the scene; around it there is nothing.
        needed: the part of the master picture that is asked for; beyond it the pixels at its edge go on.
    """

    def __init__(self, layer: Layer, needed: Box) -> None:
        self.extent = layer.extent.grown(3).common(needed)  # with zeros as far as the cubic reaches
        self.rgba = cut(layer.rgba, layer.extent, self.extent).permute(1, 2, 0).contiguous()

    def at(self, x: Tensor, y: Tensor) -> Tensor:
        """``(N, 4)`` at master pixels ``x`` and ``y`` ``(N,)``; integers are pixels' centres."""
        sampled = _sample(self.rgba, x - self.extent.left, y - self.extent.top).clamp_min(0)
        return torch.cat([sampled[:, :3], sampled[:, 3:].clamp_max(1)], dim=1)

    def areas(self, seen: Box, frame: Box, scale: int, forward: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """``(4, h, w)``: the average over each frame pixel of ``seen``."""
        size = seen.height, seen.width
        coarse = [max(2, side // GRID + 1) for side in size]
        y = torch.linspace(seen.top + 0.5, seen.bottom - 0.5, coarse[0])[:, None].expand(*coarse) + frame.top / scale
        x = torch.linspace(seen.left + 0.5, seen.right - 0.5, coarse[1]).expand(*coarse) + frame.left / scale
        pull = scale * F.interpolate(invert_at(forward, x, y)[None], size, mode="bilinear", align_corners=True)[0]
        # The mean of two neighbours lies half a pixel behind the first: so does the centre of a frame pixel.
        pairs = self.rgba[1:] + self.rgba[:-1]
        areas = (pairs[:, 1:] + pairs[:, :-1]).mul_(0.25)
        across = (torch.arange(seen.left, seen.right) * scale + frame.left - self.extent.left) + pull[0]
        down = (torch.arange(seen.top, seen.bottom) * scale + frame.top - self.extent.top)[:, None] + pull[1]
        sampled = _sample(areas, across.flatten(), down.flatten()).T.reshape(4, *size).clamp_min_(0)
        sampled[3].clamp_(max=1)
        return sampled


def _sample(table: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """``(N, C)`` of ``table`` ``(H, W, C)`` at ``x`` and ``y``, Catmull-Rom; the edge pixels go on."""
    height, width, channels = table.shape
    around = torch.arange(-1, 3, dtype=torch.int32)
    left, top = x.floor(), y.floor()
    columns = (left.to(torch.int32)[:, None] + around).clamp_(0, width - 1)
    rows = (top.to(torch.int32)[:, None] + around).clamp_(0, height - 1).mul_(width)
    across, down = torch.stack(cubic_weights(x - left), dim=1), torch.stack(cubic_weights(y - top), dim=1)
    index = (rows[:, :, None] + columns[:, None]).flatten(1)
    weight = (down[:, :, None] * across[:, None]).flatten(1)
    return F.embedding_bag(index, table.view(-1, channels), mode="sum", per_sample_weights=weight)
