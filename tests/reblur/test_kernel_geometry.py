"""The geometry against every element of a kernel."""

from __future__ import annotations

import math

import pytest

from jdrl_lightning.reblur.kernel_geometry import corner_levels, orbits, ring_counts, squared_radii


@pytest.mark.parametrize("level", range(2, 11))
def test_rings_are_the_elements_within_the_radius(level: int) -> None:
    side = range(1 - level, level)
    within = [math.hypot(x, y) for x in side for y in side if math.hypot(x, y) <= level - 1]
    assert [math.sqrt(s) for s in squared_radii(level)] == sorted(set(within))
    assert [within.count(math.sqrt(s)) for s in squared_radii(level)] == list(ring_counts(level))


@pytest.mark.parametrize("levels", [2, 5, 8])
def test_orbits_are_each_element_once(levels: int) -> None:
    side = range(1 - levels, levels)
    shifts = [shift for orbit in orbits(levels) for shift in orbit.shifts]
    assert sorted(shifts) == sorted((x, y) for x in side for y in side)
    for orbit in orbits(levels):
        assert {x * x + y * y for x, y in orbit.shifts} == {orbit.squared}
        found = {level for level in range(2, levels + 1) if orbit.a < level and math.sqrt(orbit.squared) > level - 1}
        assert set(corner_levels(orbit, levels)) == found
    disk = {orbit for orbit in orbits(levels) if math.hypot(*orbit) <= levels - 1}
    assert set(orbits(levels, "disk")) == disk
