"""Coarse maps in the Triton kernels, enlarged bilinearly as they are read; with stride 1 nothing is added."""

# mypy: ignore-errors
# See triton_orbits.

import triton
import triton.language as tl

__all__ = ["between", "load_map", "map_at"]


@triton.jit
def between(pixel, size, STRIDE: tl.constexpr):
    """The rows (columns) of the maps on both sides of one of the image, and the share of the further one."""
    place = tl.maximum(2 * pixel + 1 - STRIDE, 0)
    near = place // (2 * STRIDE)
    return near, tl.minimum(near + 1, size - 1), (place % (2 * STRIDE)).to(tl.float32) / (2 * STRIDE)


@triton.jit
def map_at(y, x, height, width, STRIDE: tl.constexpr):
    """Size of a map; its value above and left of each pixel; distances to the other three and their shares."""
    rows, columns = tl.cdiv(height, STRIDE), tl.cdiv(width, STRIDE)
    near_y, far_y, share_y = between(y, rows, STRIDE)
    near_x, far_x, share_x = between(x, columns, STRIDE)
    neighbours = ((far_y - near_y) * columns, far_x - near_x, share_y, share_x)
    return rows * columns, near_y * columns + near_x, neighbours


@triton.jit
def load_map(maps, neighbours, STRIDE: tl.constexpr):
    """One map in float32; ``maps`` points to the values above and left of the pixels."""
    value = tl.load(maps).to(tl.float32)
    if STRIDE > 1:
        below, right, share_y, share_x = neighbours
        value = (1 - share_x) * value + share_x * tl.load(maps + right).to(tl.float32)
        lower = (1 - share_x) * tl.load(maps + below).to(tl.float32)
        lower += share_x * tl.load(maps + below + right).to(tl.float32)
        value = (1 - share_y) * value + share_y * lower
    return value
