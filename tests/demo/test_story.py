from __future__ import annotations

from typing import Any

import pytest

from demo.page import made_up
from jdrl_lightning.demo.story import intervals, lead, provenance, trained


@pytest.mark.parametrize(
    ("settings", "expected", "not_expected"),
    [
        ({}, "a mirror lens, whose points out of focus are rings", "line up: blurry and sharp image are 7.8"),
        ({}, "3.4 px apart on average, as on a real focus stack.", "aligned"),
        ({"misalignment": "nonrigid"}, "3.4 px apart on average.", "focus stack"),
        ({"misalignment": "none"}, "In this run the blurry and the sharp image of a pair line up.", "apart"),
        ({"camera": "varied"}, "is fitted to the camera varied.", "rings"),
        ({"camera": "default"}, "is fitted to a lens with a round aperture.", "rings"),
    ],
)
def test_the_lead_follows_the_settings(settings: dict[str, Any], expected: str, not_expected: str) -> None:
    results = made_up()
    results["settings"] |= settings
    assert expected in lead(results)
    assert not_expected not in lead(results)


def test_how_the_rows_were_trained() -> None:
    text = trained(made_up())
    for expected in (
        "(compact) was trained in four ways, 1,230 steps each",
        "from 9 photo",
        "4 held-out",
        "jdrl_robust",
    ):
        assert expected in text


def test_intervals_come_with_a_caution() -> None:
    text = intervals(made_up()).replace("\N{NO-BREAK SPACE}", " ")
    assert "95 % intervals by bootstrap over the 24 images" in text
    assert "Images rendered from one photograph resemble each other" in text


def test_provenance_has_overrides_only_if_there_are_any() -> None:
    results = made_up()
    assert "Overrides" not in dict(provenance(results))
    results["settings"]["overrides"] = ["a=1", "b=2"]
    assert dict(provenance(results))["Overrides"] == "a=1 b=2"
    assert dict(provenance(results))["Photographs"] == "9 train, 2 val, 4 test"
