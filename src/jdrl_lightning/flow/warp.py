"""Backward warping by optical flow; pixels whose match is in the frame; inverse flow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["cubic_weights", "in_frame", "invert", "magnitude", "warp"]


def warp(image: Tensor, flow: Tensor, padding: str = "border", mode: str = "bilinear", grid: str = "exact") -> Tensor:
    """Sample ``image`` where the flow points: ``warped[p] = image[p + flow[p]]``.

    A zero flow returns the image, an integer flow the shifted image, to float rounding.

    Args:
        image: ``(B, C, H, W)``.
        flow: ``(B, 2, H, W)``, pixels, (dx, dy).
        padding: values outside the image: ``border`` (the nearest edge pixel) or ``zeros``.
        mode: ``bilinear``, ``bicubic`` (Catmull-Rom), or ``grid_bicubic``: PyTorch's own, twenty times as fast, which
            sharpens, and shifts smooth detail by up to 0.06 px.
        grid: ``exact``, or ``legacy`` for that of the published code, where coordinate ``i`` samples
            ``i·w/(w−1) − 0.5``: half a pixel off at the edges, and the flow is scaled by ``w/(w−1)``.

    Returns:
        ``(B, C, H, W)`` in the image's dtype; differentiable in ``image`` and ``flow``.

    Raises:
        ValueError: unknown option, or shapes that do not fit.

    Source: Eq. 3 of the paper.
    """
    if (
        mode not in ("bilinear", "bicubic", "grid_bicubic")
        or padding not in ("border", "zeros")
        or grid not in ("exact", "legacy")
    ):
        raise ValueError(f"unknown option among mode={mode!r}, padding={padding!r}, grid={grid!r}")
    if flow.ndim != 4 or flow.shape[1] != 2 or flow.shape[0] != image.shape[0] or flow.shape[2:] != image.shape[2:]:
        raise ValueError(f"flow {tuple(flow.shape)} does not fit image {tuple(image.shape)}")
    exact_type = torch.promote_types(image.dtype, torch.float32)
    axes = zip(_pixels(flow, exact_type), flow.to(exact_type).unbind(1), (flow.shape[3], flow.shape[2]), strict=True)
    if mode == "bicubic":
        places = torch.stack([_stretched(pixels + moved, size, grid) for pixels, moved, size in axes], dim=1)
        return _catmull_rom(image.to(exact_type), places, padding).to(image.dtype)
    # Pixel i has the coordinate 2(i + ½)/n − 1 (align_corners=False), which is defined for a side of one pixel too.
    coordinates = []
    for pixels, moved, size in axes:
        scale = 2 / (max(size - 1, 1) if grid == "legacy" else size)
        coordinates.append(torch.add((2 * _stretched(pixels, size, grid) + 1) / size - 1, moved, alpha=scale))
    where = torch.stack(coordinates, dim=1).permute(0, 2, 3, 1)
    kernel = mode.removeprefix("grid_")
    return F.grid_sample(image.to(exact_type), where, kernel, padding, align_corners=False).to(image.dtype)


def _stretched(places: Tensor, size: int, grid: str) -> Tensor:
    return places * (size / max(size - 1, 1)) - 0.5 if grid == "legacy" else places


def _catmull_rom(image: Tensor, places: Tensor, padding: str) -> Tensor:
    """Sample at pixel coordinates with the cubic kernel that reproduces parabolas (a = −½).

    The bicubic of ``grid_sample`` has a = −¾.
    """
    batch, channels, height, width = image.shape
    pixels = image.flatten(2)
    below = places.floor()
    columns, rows = (cubic_weights(places[:, i] - below[:, i]) for i in range(2))
    left, top = below.long().unbind(1)
    sampled = torch.zeros_like(image)
    for j, row_weight in enumerate(rows):
        y = top + (j - 1)
        for i, column_weight in enumerate(columns):
            x = left + (i - 1)
            weight = row_weight * column_weight
            if padding == "zeros":
                weight = weight * ((x >= 0) & (x < width) & (y >= 0) & (y < height))
            index = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten(1)
            values = pixels.gather(2, index[:, None].expand(batch, channels, -1)).view_as(image)
            sampled = sampled + weight[:, None] * values
    return sampled


def cubic_weights(share: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Catmull-Rom weights of the pixels at −1, 0, 1 and 2 for a point at ``share`` in [0, 1)."""
    square, cube = share.square(), share**3
    return (
        (-share + 2 * square - cube) / 2,
        (2 - 5 * square + 3 * cube) / 2,
        (share + 4 * square - 3 * cube) / 2,
        (cube - square) / 2,
    )


def in_frame(flow: Tensor) -> Tensor:
    """1 where ``p + flow[p]`` is inside the image, else 0: ``(B, 1, H, W)``, flow's dtype, no gradient."""
    height, width = flow.shape[2:]
    x, y = (pixels + moved for pixels, moved in zip(_pixels(flow, flow.dtype), flow.detach().unbind(1), strict=True))
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))[:, None].to(flow.dtype)


def invert(flow: Tensor, iterations: int = 12) -> Tensor:
    """Inverse flow by fixed-point iteration, ``inverse[q] = −flow[q + inverse[q]]``.

    Converges where the flow changes by less than one pixel per pixel; outside the frame the nearest value is used.

    Args:
        flow: ``(B, 2, H, W)``, pixels.
        iterations: each multiplies the error by the flow's largest gradient.
    """
    inverse = -flow
    for _ in range(iterations):
        inverse = -warp(flow, inverse)
    return inverse


def _pixels(like: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """x of each column, ``(W,)``, and y of each row, ``(H, 1)``."""
    height, width = like.shape[-2:]
    x, y = (torch.arange(size, dtype=dtype, device=like.device) for size in (width, height))
    return x, y[:, None]


def magnitude(flow: Tensor) -> Tensor:
    """``|flow|``, ``(B, 1, H, W)``, px, of ``(B, 2, H, W)``. Its gradient is NaN where the flow is zero.

    ``Tensor.norm`` over two channels takes a hundred times as long on CPU.
    """
    return torch.hypot(flow[:, :1], flow[:, 1:])
