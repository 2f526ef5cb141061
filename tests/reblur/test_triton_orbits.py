"""Orbits against every element of a kernel."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest

pytest.importorskip("triton", reason="Triton is not installed: the CUDA kernel is not tested")


def test_numbers_sizes_and_radii() -> None:
    from jdrl_lightning.reblur import triton_orbits

    levels = 8
    elements = defaultdict(set)
    for y in range(1 - levels, levels):
        for x in range(1 - levels, levels):
            elements[max(abs(y), abs(x)), min(abs(y), abs(x))].add((y, x))
    assert [triton_orbits.orbit_index(a, b) for a, b in sorted(elements)] == list(range(len(elements)))
    for (a, b), orbit in elements.items():
        radius = math.hypot(a, b)
        assert triton_orbits.orbit_size(a, b) == len(orbit)
        assert triton_orbits.radius_floor(a, b) == math.floor(radius)
        assert triton_orbits.radius_fraction(a, b) == pytest.approx(radius - math.floor(radius), abs=1e-12)
        for level in range(1, levels + 1):
            assert triton_orbits.within_radius(a, b, level) == (radius <= level - 1)
