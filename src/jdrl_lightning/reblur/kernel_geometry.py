"""Geometry of isotropic kernels: which elements lie at one radius, and which share one weight."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

__all__ = ["Orbit", "check_support", "corner_levels", "orbits", "ring_counts", "squared_radii"]


class Orbit(NamedTuple):
    """Elements that flips and the transpose map onto one another, ``(±a, ±b)`` and ``(±b, ±a)``, ``0 <= b <= a``."""

    a: int
    b: int

    @property
    def squared(self) -> int:
        """Their squared radius."""
        return self.a * self.a + self.b * self.b

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        """Every ``(dx, dy)`` once."""
        a, b = self
        return tuple(sorted({(x, y) for x, y in ((a, b), (b, a)) for x in (x, -x) for y in (y, -y)}))


@lru_cache
def orbits(levels: int, support: str = "square") -> tuple[Orbit, ...]:
    """The orbits that have a weight in some level; with ``disk``, those within radius ``levels - 1``."""
    every = (Orbit(a, b) for a in range(levels) for b in range(a + 1))
    return tuple(orbit for orbit in every if support == "square" or orbit.squared <= (levels - 1) ** 2)


@lru_cache
def squared_radii(level: int) -> tuple[int, ...]:
    """The distinct ``dx² + dy² <= (level - 1)²`` of a kernel, ascending; a prefix of those of the next level."""
    return tuple(sorted({orbit.squared for orbit in orbits(level, "disk")}))


@lru_cache
def ring_counts(level: int) -> tuple[int, ...]:
    """How many elements lie at each of the ``squared_radii``; the rest of ``(2 level - 1)²`` are corners."""
    every = [orbit for orbit in orbits(level) for _ in orbit.shifts]
    return tuple(sum(orbit.squared == squared for orbit in every) for squared in squared_radii(level))


def corner_levels(orbit: Orbit, levels: int) -> tuple[int, ...]:
    """The levels whose square contains the orbit but whose radius ``level - 1`` does not."""
    return tuple(n for n in range(max(2, orbit.a + 1), levels + 1) if (n - 1) ** 2 < orbit.squared)


def check_support(support: str) -> None:
    """Raise a ``ValueError`` unless ``support`` is ``square`` or ``disk``."""
    if support not in ("square", "disk"):
        raise ValueError(f"support={support!r} is not one of square, disk")
