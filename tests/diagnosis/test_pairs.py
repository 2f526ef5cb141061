"""The recommendation for measured pairs; ``tests/metrics/test_misalignment.py`` measures pairs whose truth is known."""

from __future__ import annotations

import pytest

from jdrl_lightning.diagnosis.pairs import recommendation
from jdrl_lightning.metrics.misalignment import Summary

ALIGNED = Summary(8, 0.1, 0.3, 0.2, 0.0, 0.001, 0.2, 0.0, [])


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        ({}, "objective=charbonnier) is enough"),
        ({"p95_px": 0.99}, "objective=charbonnier) is enough"),
        ({"p95_px": 4.0}, "data.register=affine with objective=charbonnier"),
        ({"p95_px": 4.0, "rest_p95_px": 0.6}, "need JDRL (objective=jdrl_robust)"),
        ({"p95_px": 4.0, "rest_p95_px": 0.6, "unlike": ["a", "b"]}, "need JDRL"),  # two of eight
        ({"p95_px": 90.0, "far": 0.3}, "register them roughly first (data.register=affine)"),
        ({"far": 0.3, "unlike": ["a", "b", "c", "d"]}, "the same scene (a, b, c): check how the files are paired"),
    ],
)
def test_the_first_problem_decides(measured: dict[str, object], message: str) -> None:
    assert message in recommendation(ALIGNED._replace(**measured))
