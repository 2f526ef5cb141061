"""Building blocks of the Triton kernels: orbits, the softmax of one level, and sums of the image over an orbit.

An orbit is the set of kernel elements that flips and the transpose map onto one another, ``(±a, ±b)`` and ``(±b, ±a)``
with ``0 <= b <= a``; its elements share one weight. Orbits are numbered row by row of the triangle ``b <= a``.
"""

# mypy: ignore-errors
# ruff: noqa: RUF005, SIM108
# Triton code looks like Python, but its compiler knows neither unpacking nor types other than its own.

import triton
import triton.language as tl

from jdrl_lightning.reblur.triton_enlarging import load_map

__all__ = [
    "add_level",
    "level_softmax",
    "orbit_index",
    "orbit_size",
    "radius_floor",
    "radius_fraction",
    "sum_over_orbit",
    "tile",
    "within_radius",
]


@triton.constexpr_function
def orbit_index(a: int, b: int) -> int:
    """Number of the orbit."""
    return a * (a + 1) // 2 + b


@triton.constexpr_function
def radius_floor(a: int, b: int) -> int:
    """Whole part of the radius."""
    return int((a * a + b * b) ** 0.5)


@triton.constexpr_function
def radius_fraction(a: int, b: int) -> float:
    """Fractional part of the radius."""
    return (a * a + b * b) ** 0.5 % 1


@triton.constexpr_function
def orbit_size(a: int, b: int) -> int:
    """Number of elements in the orbit."""
    return 1 if a == 0 else 4 if b in (0, a) else 8


@triton.constexpr_function
def within_radius(a: int, b: int, level: int) -> bool:
    """Whether the orbit lies within the radius ``level - 1`` of a level."""
    return a * a + b * b <= (level - 1) ** 2


@triton.jit
def tile(height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Rows and columns of this program's tile, and the mask of its pixels inside the image."""
    across = tl.cdiv(width, COLUMNS)
    y = tl.program_id(0) // across * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(0) % across * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    return y, x, (y < height) & (x < width)


@triton.jit
def level_softmax(
    seeds, plane, neighbours, LEVEL: tl.constexpr, SQUARE: tl.constexpr, ABSOLUTE: tl.constexpr, STRIDE: tl.constexpr
):
    """One level's ``exp(logit - top)`` for each orbit, and 1 over their sum over all elements."""
    logits = ()
    for k in tl.static_range(LEVEL):
        logit = load_map(seeds + k * plane, neighbours, STRIDE)
        if ABSOLUTE:
            logit = tl.abs(logit)
        logits = logits + (logit,)
    top = logits[0]
    for k in tl.static_range(1, LEVEL):
        top = tl.maximum(top, logits[k])
    if SQUARE:
        top = tl.maximum(top, 0.0)  # the corners' logit
    exps = ()
    total = tl.zeros_like(top)
    for a in tl.static_range(LEVEL):
        for b in tl.static_range(a + 1):
            if within_radius(a, b, LEVEL):
                logit = logits[radius_floor(a, b)] - top
                if radius_fraction(a, b) > 0:
                    logit += radius_fraction(a, b) * (logits[radius_floor(a, b) + 1] - logits[radius_floor(a, b)])
                e = tl.exp(logit)
            elif SQUARE:
                e = tl.exp(-top)
            else:
                e = tl.zeros_like(top)
            exps = exps + (e,)
            total += orbit_size(a, b) * e
    return exps, 1.0 / total


@triton.jit
def add_level(mixture, exps, scale):
    """Add one level to the orbit weights; orbits outside the square of the level are unchanged."""
    result = ()
    for i in tl.static_range(len(mixture)):
        if i < len(exps):
            result = result + (mixture[i] + scale * exps[i],)
        else:
            result = result + (mixture[i],)
    return result


@triton.jit
def sum_over_orbit(centre, padded_width, a: tl.constexpr, b: tl.constexpr):
    """The image summed over an orbit."""
    total = tl.load(centre + a * padded_width + b)
    if a > 0:
        total += tl.load(centre - a * padded_width - b)
        total += tl.load(centre + b * padded_width - a)
        total += tl.load(centre - b * padded_width + a)
    if (b > 0) & (b < a):
        total += tl.load(centre + a * padded_width - b)
        total += tl.load(centre - a * padded_width + b)
        total += tl.load(centre + b * padded_width + a)
        total += tl.load(centre - b * padded_width - a)
    return total
