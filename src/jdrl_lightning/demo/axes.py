"""What a chart needs before it is drawn: round ticks, a scale, and names that do not cover each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

__all__ = ["scale", "spread", "tick_label", "ticks"]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that enclose [low, high], about ``count`` of them and at least two."""
    step = max(high - low, 1e-2 * max(abs(high), 1)) / count
    power = 10.0 ** math.floor(math.log10(step))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [i * step for i in range(first, last + 1)]


def tick_label(value: float, all_ticks: Sequence[float]) -> str:
    """With as many digits as tell neighbouring ticks apart."""
    return f"{value:,.{max(0, -math.floor(math.log10(all_ticks[1] - all_ticks[0]) + 1e-9))}f}"


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """From values to places: ``low`` to ``start``, ``high`` to ``end``."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def spread(places: Mapping[str, float], gap: float, least: float) -> dict[str, float]:
    """Move places until neighbours are ``gap`` apart: in the same order, about the same middle, from ``least`` on."""
    order = sorted(places, key=places.__getitem__)
    moved = [places[name] for name in order]
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    shift = min((sum(moved) - sum(places.values())) / len(moved), moved[0] - least)
    return {name: place - shift for name, place in zip(order, moved, strict=True)}
