"""Maps in pixels as colours with their scale: how blurred a frame is, and what has moved in it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray

__all__ = ["BLUR", "SHIFT", "colours", "largest", "needles", "scale"]

BLUR, SHIFT = "viridis", "inferno"  # matplotlib's names of the colours of the two kinds of map
STOPS = 9
ROUND = (1, 2, 3, 4, 5, 6, 8, 10)
PITCH_PX, HALF_WIDTH_PX, LONGER = 24, 1.2, 8  # of the needles: their grid, their foot, how much longer than the shift


def largest(maps: Iterable[NDArray[np.float32]]) -> float:
    """The end of a scale that holds nearly all of ``maps``: a round number of pixels."""
    tops = [float(np.quantile(each, 0.99)) for each in maps]
    top = max((value for value in tops if math.isfinite(value)), default=0.0)
    if top <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(top))
    return next(step * power for step in ROUND if step * power >= top * (1 - 1e-6))


def colours(values: NDArray[np.float32], end: float, name: str) -> NDArray[np.uint8]:
    """``(H, W)`` px on the scale from 0 to ``end`` as ``(H, W, 3)``; what is longer has the last colour."""
    shares = np.clip(np.nan_to_num(values, nan=0.0, posinf=end) / end, 0, 1)
    rgb: NDArray[np.uint8] = matplotlib.colormaps[name](shares, bytes=True)[..., :3]
    return rgb


def scale(end: float, name: str, meaning: str) -> str:
    """The legend of :func:`colours`: a bar with its ends in pixels."""
    stops = ", ".join(to_hex(matplotlib.colormaps[name](i / (STOPS - 1))) for i in range(STOPS))
    return (
        f'<p class="scale"><span>{escape(meaning)}</span> <span>0</span> '
        f'<span class="bar" style="background: linear-gradient(to right, {stops})"></span> '
        f"<span>{end:g}\N{NO-BREAK SPACE}px and more</span></p>"
    )


def needles(shift: NDArray[np.float32]) -> str:
    """An ``<svg>`` over a map ``(2, H, W)``: needles that point to where what is shown has moved, ``LONGER`` times."""
    height, width = shift.shape[1:]
    rows, columns = (np.arange(PITCH_PX // 2, size, PITCH_PX) for size in (height, width))
    y, x = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    dx, dy = shift[:, y, x]
    length = np.hypot(dx, dy)
    shown = np.isfinite(length) & (length > 0)
    across = HALF_WIDTH_PX / np.where(shown, length, 1)
    path = "".join(
        f"M{a - v * w:.1f} {b + u * w:.1f}L{a + LONGER * u:.1f} {b + LONGER * v:.1f}L{a + v * w:.1f} {b - u * w:.1f}Z"
        for a, b, u, v, w in zip(x[shown], y[shown], dx[shown], dy[shown], across[shown], strict=True)
    )
    return f'<svg class="needles" viewBox="0 0 {width} {height}" aria-hidden="true"><path d="{path}"/></svg>'
