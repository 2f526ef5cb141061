"""The channels of a TIFF as grey or RGB with straight alpha, in 8 or 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jdrl_lightning.io.stored import Unsupported

__all__ = [
    "alpha_first", "cmyk_to_rgb", "inverted", "looked_up", "meanings", "quantised", "straight", "to_levels",
]  # fmt: skip

UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2  # values of the tag ExtraSamples

Array = NDArray[Any]


def to_levels(samples: Array, bits: int) -> Array:
    """Integers of ``bits`` bits as ``uint8`` if they have 8, otherwise scaled to ``uint16``; floats as they are.

    Raises:
        Unsupported: complex or negative values.
    """
    if samples.dtype.kind == "f" or (samples.dtype.kind == "u" and bits == 8 * samples.itemsize and bits in (8, 16)):
        return samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if samples.dtype.kind not in "biu":
        raise Unsupported(f"TIFF of type {samples.dtype}: save it with 8 or 16 bits, or as float in [0, 1]")
    if samples.dtype.kind == "i":
        if samples.min() < 0:
            raise Unsupported(f"values from {samples.min()}: save it with 8 or 16 bits without sign")
        bits -= 1
    return np.rint(samples.astype(np.float64) * (65535 / (2**bits - 1))).astype(np.uint16)


def looked_up(samples: Array, table: Array) -> Array:
    """The colours ``(H, W, 3)`` of palette indices ``(H, W, 1)``.

    Args:
        table: ``(3, N)`` ``uint16``. Tables whose entries have 8 bits, in either custom, give ``uint8``.
    """
    eight_bit = not ((table % 257).any() and (table % 256).any())
    colours = (table >> 8).astype(np.uint8) if eight_bit else table
    return colours.T[samples[..., 0].astype(np.int64)]


def meanings(count: int, grey: bool, extra: Sequence[int]) -> tuple[int, list[int]]:
    """The number of colours among ``count`` channels, and the kinds of the others as in the tag ExtraSamples.

    Grey with two or more channels of unspecified meaning is RGB: that is how it comes from programs that do not set
    the tag for the kind of colour.
    """
    kinds = [*map(int, extra), *[UNSPECIFIED] * count]
    n_colours = 1 if count < 3 or (grey and any(kinds[:2])) else 3
    return n_colours, kinds[2 if grey and n_colours == 3 else 0 :][: count - n_colours]


def alpha_first(n_colours: int, kinds: Sequence[int]) -> tuple[list[int], bool]:
    """The order that puts alpha, if any, right after the colours; and whether the colours are premultiplied by it."""
    order = list(range(n_colours + len(kinds)))
    alpha = next((i for i, kind in enumerate(kinds) if kind in (ASSOCIATED, UNASSOCIATED)), None)
    if alpha is None:
        return order, False
    order.insert(n_colours, order.pop(n_colours + alpha))
    return order, kinds[alpha] == ASSOCIATED


def straight(colours: Array, alpha: Array) -> Array:
    """Premultiplied colours divided by their alpha ``(H, W, 1)``; where it is 0 they are kept."""
    top = _top(colours)
    share = np.where(alpha == 0, top, alpha).astype(np.float64) / top
    return _rounded((colours / share).clip(0, top), colours)


def inverted(grey: Array) -> Array:
    """Grey of which 0 is white."""
    return (_top(grey) - grey).astype(grey.dtype)


def cmyk_to_rgb(inks: Array) -> Array:
    """``(H, W, 3)`` of four inks, by Pillow's formula: ``(1 - c) (1 - k)``, without a profile."""
    top = _top(inks)
    cyan_magenta_yellow, rest = inks[..., :3].astype(np.float64), top - inks[..., 3:].astype(np.float64)
    return _rounded(rest - np.floor(cyan_magenta_yellow * rest / top + 0.5), inks)


def quantised(pixels: Array) -> Array:
    """Floats in [0, 1] as ``uint16``; integers as they are.

    Raises:
        ValueError: NaN, infinite or values outside [0, 1].
    """
    if pixels.dtype.kind != "f":
        return pixels
    if not np.isfinite(pixels).all():
        raise ValueError("NaN or infinite values: fix the image or remove the pair")
    if pixels.min() < 0 or pixels.max() > 1:
        raise ValueError(f"float values from {pixels.min():g} to {pixels.max():g}: scale them to [0, 1]")
    return (pixels.astype(np.float64) * 65535).round().astype(np.uint16)


def _top(values: Array) -> float:
    return 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)


def _rounded(values: Array, like: Array) -> Array:
    return (values if like.dtype.kind == "f" else np.rint(values)).astype(like.dtype)
