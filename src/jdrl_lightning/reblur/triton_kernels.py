"""The reblurring operator in Triton, forward; ``cuda`` runs it. Half precision is read and written, float32 computed.

Each program has a tile of pixels. An orbit is the elements of a kernel that flips and the transpose carry into one
another, ``(±a, ±b)`` and ``(±b, ±a)``: they share one weight. Orbits are counted row by row of the triangle ``b <= a``;
their weights, summed over the levels, stay in registers.
"""

# mypy: ignore-errors
# ruff: noqa: B007, RUF005, SIM108
# Triton's language looks like Python, but its compiler knows neither unpacking nor other types than its own.

import triton
import triton.language as tl

__all__ = ["forward_kernel"]


@triton.constexpr_function
def place(a: int, b: int) -> int:
    """Where the orbit is counted."""
    return a * (a + 1) // 2 + b


@triton.constexpr_function
def whole(a: int, b: int) -> int:
    """Whole part of the radius."""
    return int((a * a + b * b) ** 0.5)


@triton.constexpr_function
def fraction(a: int, b: int) -> float:
    """What is left of it."""
    return (a * a + b * b) ** 0.5 % 1


@triton.constexpr_function
def count(a: int, b: int) -> int:
    """Elements of the orbit."""
    return 1 if a == 0 else 4 if b in (0, a) else 8


@triton.constexpr_function
def within(a: int, b: int, level: int) -> bool:
    return a * a + b * b <= (level - 1) ** 2


@triton.jit
def tile(height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Rows and columns of this program's tile, and which of its pixels there are."""
    across = tl.cdiv(width, COLUMNS)
    y = tl.program_id(0) // across * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(0) % across * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    return y, x, (y < height) & (x < width)


@triton.jit
def softmax(seeds, plane, LEVEL: tl.constexpr, SQUARE: tl.constexpr, ABSOLUTE: tl.constexpr):
    """One level's ``exp(logit - top)`` by orbit, and 1 over the sum of its elements."""
    logits = ()
    for k in tl.static_range(LEVEL):
        logit = tl.load(seeds + k * plane).to(tl.float32)
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
            if within(a, b, LEVEL):
                logit = logits[whole(a, b)] - top
                if fraction(a, b) > 0:
                    logit += fraction(a, b) * (logits[whole(a, b) + 1] - logits[whole(a, b)])
                e = tl.exp(logit)
            elif SQUARE:
                e = tl.exp(-top)
            else:
                e = tl.zeros_like(top)
            exps = exps + (e,)
            total += count(a, b) * e
    return exps, 1.0 / total


@triton.jit
def with_level(mixture, exps, scale):
    """The orbits' weights with one level added; orbits beyond its square are unchanged."""
    result = ()
    for i in tl.static_range(len(mixture)):
        if i < len(exps):
            result = result + (mixture[i] + scale * exps[i],)
        else:
            result = result + (mixture[i],)
    return result


@triton.jit
def over(centre, padded_width, a: tl.constexpr, b: tl.constexpr):
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


@triton.jit(do_not_specialize=("channels", "height", "width"))  # or else another size is compiled anew
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
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    y, x, there = tile(height, width, ROWS, COLUMNS)
    y, x = tl.minimum(y, height - 1), tl.minimum(x, width - 1)
    image, plane, pixel = tl.program_id(1).to(tl.int64), height * width, y * width + x
    seeds += image * (LEVELS * (LEVELS + 1) // 2 - 1) * plane + pixel
    weights += image * LEVELS * plane + pixel
    mixture = (tl.load(weights).to(tl.float32),)
    for i in tl.static_range(1, LEVELS * (LEVELS + 1) // 2):
        mixture = mixture + (tl.zeros_like(mixture[0]),)
    for level in tl.static_range(2, LEVELS + 1):
        exps, inverse = softmax(seeds, plane, level, SQUARE, ABSOLUTE)
        scale = tl.load(weights + (level - 1) * plane).to(tl.float32) * inverse
        mixture = with_level(mixture, exps, scale)
        seeds += level * plane
    padded_width = width + 2 * (LEVELS - 1)
    padded_plane = padded_width * (height + 2 * (LEVELS - 1))
    centre = padded + image * channels * padded_plane + (y + LEVELS - 1) * padded_width + x + LEVELS - 1
    out += image * channels * plane + pixel
    for _ in range(channels):
        total = tl.zeros_like(mixture[0])
        for a in tl.static_range(LEVELS):
            for b in tl.static_range(a + 1):
                if SQUARE or within(a, b, LEVELS):
                    total += mixture[place(a, b)] * over(centre, padded_width, a, b)
        tl.store(out, total, mask=there)
        centre += padded_plane
        out += plane
