"""The reblurring operator in Triton, forward; half precision is read and written, float32 is computed.

Each program has a tile of pixels. The weights of the orbits, summed over the levels, stay in registers.
"""

# mypy: ignore-errors
# ruff: noqa: B007, RUF005
# See triton_orbits.

import triton
import triton.language as tl

from jdrl_lightning.reblur.triton_enlarging import load_map, map_at
from jdrl_lightning.reblur.triton_orbits import (
    add_level,
    level_softmax,
    orbit_index,
    sum_over_orbit,
    tile,
    within_radius,
)

__all__ = ["forward_kernel"]


@triton.jit(do_not_specialize=("channels", "height", "width"))  # otherwise each image size is recompiled
def forward_kernel(
    padded,
    seeds,
    weights,
    out,
    channels,
    height,
    width,
    LEVELS: tl.constexpr,
    SQUARE: tl.constexpr,
    ABSOLUTE: tl.constexpr,
    STRIDE: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """All channels of the reblurred image, at the pixels of one tile."""
    y, x, valid = tile(height, width, ROWS, COLUMNS)
    y, x = tl.minimum(y, height - 1), tl.minimum(x, width - 1)
    image, plane, pixel = tl.program_id(1).to(tl.int64), height * width, y * width + x
    map_plane, at, neighbours = map_at(y, x, height, width, STRIDE)
    seeds += image * (LEVELS * (LEVELS + 1) // 2 - 1) * map_plane + at
    weights += image * LEVELS * map_plane + at
    mixture = (load_map(weights, neighbours, STRIDE),)
    for i in tl.static_range(1, LEVELS * (LEVELS + 1) // 2):
        mixture = mixture + (tl.zeros_like(mixture[0]),)
    for level in tl.static_range(2, LEVELS + 1):
        exps, inverse = level_softmax(seeds, map_plane, neighbours, level, SQUARE, ABSOLUTE, STRIDE)
        scale = load_map(weights + (level - 1) * map_plane, neighbours, STRIDE) * inverse
        mixture = add_level(mixture, exps, scale)
        seeds += level * map_plane
    padded_width = width + 2 * (LEVELS - 1)
    padded_plane = padded_width * (height + 2 * (LEVELS - 1))
    centre = padded + image * channels * padded_plane + (y + LEVELS - 1) * padded_width + x + LEVELS - 1
    out += image * channels * plane + pixel
    for _ in range(channels):
        total = tl.zeros_like(mixture[0])
        for a in tl.static_range(LEVELS):
            for b in tl.static_range(a + 1):
                if SQUARE or within_radius(a, b, LEVELS):
                    total += mixture[orbit_index(a, b)] * sum_over_orbit(centre, padded_width, a, b)
        tl.store(out, total, mask=valid)
        centre += padded_plane
        out += plane
