"""The reblurring operator in Triton, backward.

The first kernel computes the gradients of seeds and weight maps, and stores the weights of the orbits, so that in the
second one each pixel of the image gathers from its neighbours: deterministic, without atomic additions. The gradients
of coarse maps are written at the image's resolution first, for a strip of rows; each value of the maps that the strip
contributed to gathers them in a third, and adds them to those of the strips above.
"""

# mypy: ignore-errors
# ruff: noqa: B007, RUF005
# See triton_orbits.

import triton
import triton.language as tl

from jdrl_lightning.reblur.triton_enlarging import between, load_map, map_at
from jdrl_lightning.reblur.triton_orbits import (
    add_level,
    level_softmax,
    orbit_index,
    orbit_size,
    radius_floor,
    radius_fraction,
    sum_over_orbit,
    tile,
    within_radius,
)

__all__ = ["image_kernel", "maps_kernel", "shrink_kernel"]


@triton.jit(do_not_specialize=("channels", "height", "width", "top", "strip"))  # otherwise recompiled for each size
def maps_kernel(
    grad_out,
    padded,
    seeds,
    weights,
    grad_seeds,
    grad_weights,
    mixtures,
    channels,
    height,
    width,
    top,
    strip,
    LEVELS: tl.constexpr,
    SQUARE: tl.constexpr,
    ABSOLUTE: tl.constexpr,
    STRIDE: tl.constexpr,
    NEED_IMAGE: tl.constexpr,
    NEED_MAPS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Gradients of enlarged seeds and weight maps, pixel by pixel, and the orbit weights for :func:`image_kernel`.

    Of the ``strip`` rows from ``top`` on; the gradients have those rows only.
    """
    N_ORBITS: tl.constexpr = LEVELS * (LEVELS + 1) // 2
    y, x, valid = tile(strip, width, ROWS, COLUMNS)
    y, x = tl.minimum(y, strip - 1), tl.minimum(x, width - 1)
    strip_plane, strip_pixel, y = strip * width, y * width + x, y + top
    image, plane, pixel = tl.program_id(1).to(tl.int64), height * width, y * width + x
    map_plane, at, neighbours = map_at(y, x, height, width, STRIDE)
    seeds += image * (N_ORBITS - 1) * map_plane + at
    grad_seeds += image * (N_ORBITS - 1) * strip_plane + strip_pixel
    weights += image * LEVELS * map_plane + at
    grad_weights += image * LEVELS * strip_plane + strip_pixel
    mixture = (load_map(weights, neighbours, STRIDE),)
    grads = (tl.zeros_like(mixture[0]),)
    for i in tl.static_range(1, N_ORBITS):
        mixture = mixture + (tl.zeros_like(mixture[0]),)
        grads = grads + (tl.zeros_like(mixture[0]),)
    if NEED_MAPS:
        padded_width = width + 2 * (LEVELS - 1)
        padded_plane = padded_width * (height + 2 * (LEVELS - 1))
        centre = padded + image * channels * padded_plane + (y + LEVELS - 1) * padded_width + x + LEVELS - 1
        grad_out += image * channels * plane + pixel
        for _ in range(channels):
            grad = tl.load(grad_out).to(tl.float32)
            updated = ()
            for a in tl.static_range(LEVELS):
                for b in tl.static_range(a + 1):
                    if SQUARE or within_radius(a, b, LEVELS):
                        more = grad * sum_over_orbit(centre, padded_width, a, b)
                        updated = updated + (grads[orbit_index(a, b)] + more,)
                    else:
                        updated = updated + (grads[orbit_index(a, b)],)
            grads = updated
            centre += padded_plane
            grad_out += plane
        tl.store(grad_weights, grads[0], mask=valid)
    for level in tl.static_range(2, LEVELS + 1):
        exps, inverse = level_softmax(seeds, map_plane, neighbours, level, SQUARE, ABSOLUTE, STRIDE)
        scale = load_map(weights + (level - 1) * map_plane, neighbours, STRIDE) * inverse
        if NEED_IMAGE:
            mixture = add_level(mixture, exps, scale)
        if NEED_MAPS:
            blurred = tl.zeros_like(scale)
            for a in tl.static_range(level):
                for b in tl.static_range(a + 1):
                    if SQUARE or within_radius(a, b, level):
                        blurred += exps[orbit_index(a, b)] * grads[orbit_index(a, b)]
            blurred *= inverse
            tl.store(grad_weights + (level - 1) * strip_plane, blurred, mask=valid)
            for k in tl.static_range(level):
                grad = tl.zeros_like(scale)
                for a in tl.static_range(level):
                    for b in tl.static_range(a + 1):
                        if within_radius(a, b, level):
                            # softmax: each element of the orbit lowers the mean
                            pull = exps[orbit_index(a, b)] * (grads[orbit_index(a, b)] - orbit_size(a, b) * blurred)
                            if radius_floor(a, b) == k:
                                grad += (1 - radius_fraction(a, b)) * pull
                            elif radius_floor(a, b) + 1 == k:
                                grad += radius_fraction(a, b) * pull
                grad *= scale
                if ABSOLUTE:
                    seed = load_map(seeds + k * map_plane, neighbours, STRIDE)
                    grad = tl.where(seed < 0, -grad, tl.where(seed == 0, 0.0, grad))
                tl.store(grad_seeds + k * strip_plane, grad, mask=valid)
        seeds += level * map_plane
        grad_seeds += level * strip_plane
    if NEED_IMAGE:
        mixtures += image * N_ORBITS * plane + pixel
        for i in tl.static_range(N_ORBITS):
            tl.store(mixtures, mixture[i], mask=valid)
            mixtures += plane


@triton.jit(do_not_specialize=("channels", "height", "width"))  # otherwise each image size is recompiled
def image_kernel(
    grad_out,
    mixtures,
    grad_padded,
    channels,
    height,
    width,
    LEVELS: tl.constexpr,
    SQUARE: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Gradient of one channel of the padded image, gathered from all pixels within reach by their own kernels."""
    REACH: tl.constexpr = LEVELS - 1
    padded_height, padded_width = height + 2 * REACH, width + 2 * REACH
    y, x, valid = tile(padded_height, padded_width, ROWS, COLUMNS)
    image, plane = (tl.program_id(1) // channels).to(tl.int64), height * width
    grad_out += tl.program_id(1).to(tl.int64) * plane
    mixtures += image * (LEVELS * (LEVELS + 1) // 2) * plane
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            a, b = tl.maximum(tl.abs(dy), tl.abs(dx)), tl.minimum(tl.abs(dy), tl.abs(dx))
            from_y, from_x = y - REACH + dy, x - REACH + dx
            inside = (from_y >= 0) & (from_y < height) & (from_x >= 0) & (from_x < width)
            if not SQUARE:
                inside = inside & (a * a + b * b <= REACH * REACH)
            pixel = from_y * width + from_x
            weight = tl.load(mixtures + (a * (a + 1) // 2 + b).to(tl.int64) * plane + pixel, mask=inside, other=0.0)
            total += weight * tl.load(grad_out + pixel, mask=inside, other=0.0).to(tl.float32)
    grad_padded += tl.program_id(1).to(tl.int64) * padded_height * padded_width
    tl.store(grad_padded + y * padded_width + x, total, mask=valid)


@triton.jit(do_not_specialize=("height", "width", "top", "strip", "first", "count"))  # otherwise recompiled for each
def shrink_kernel(
    enlarged,
    grads,
    height,
    width,
    top,
    strip,
    first,
    count,
    STRIDE: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Add to ``count`` rows of one map's gradient, from ``first`` on, what each value contributed to a strip."""
    rows, columns = tl.cdiv(height, STRIDE), tl.cdiv(width, STRIDE)
    y, x, valid = tile(count, columns, ROWS, COLUMNS)
    y += first
    enlarged += tl.program_id(1).to(tl.int64) * strip * width
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for dy in range(-(STRIDE // 2), STRIDE + STRIDE // 2):
        from_y = y * STRIDE + dy
        near_y, far_y, share_y = between(from_y, rows, STRIDE)
        part_y = tl.where(near_y == y, 1 - share_y, 0.0) + tl.where(far_y == y, share_y, 0.0)
        for dx in range(-(STRIDE // 2), STRIDE + STRIDE // 2):
            from_x = x * STRIDE + dx
            near_x, far_x, share_x = between(from_x, columns, STRIDE)
            part_x = tl.where(near_x == x, 1 - share_x, 0.0) + tl.where(far_x == x, share_x, 0.0)
            inside = (from_y >= top) & (from_y < top + strip) & (from_x >= 0) & (from_x < width)
            total += part_y * part_x * tl.load(enlarged + (from_y - top) * width + from_x, mask=inside, other=0.0)
    grads += tl.program_id(1).to(tl.int64) * rows * columns + y * columns + x
    tl.store(grads, tl.load(grads, mask=valid) + total, mask=valid)
