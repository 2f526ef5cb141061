from __future__ import annotations

from typing import Any

import pytest

from demo.page import made_up
from jdrl_lightning.demo.findings import findings


def text_of(results: dict[str, Any]) -> str:
    return " ".join(" ".join(findings(results)).split())


@pytest.mark.parametrize(
    ("jdrl", "half_width", "expected"),
    [
        (
            24.61,
            0.25,
            "JDRL ends 0.59 dB above registering each pair first (95 % interval +0.34 to +0.84 dB, which excl",
        ),
        (
            24.61,
            0.75,
            "are indistinguishable here: the difference is +0.59 dB (95 % interval −0.16 to +1.34 dB, which inc",
        ),
        (23.91, 0.25, "are indistinguishable here: the difference is −0.11 dB"),
        (
            23.52,
            0.25,
            "JDRL ends 0.50 dB below registering each pair first (95 % interval −0.75 to −0.25 dB, which excl",
        ),
    ],
)
def test_registering_is_beaten_only_outside_the_interval(jdrl: float, half_width: float, expected: str) -> None:
    assert expected in text_of(made_up((23.41, 22.87, 24.02, jdrl, 25.13), half_width))


@pytest.mark.parametrize(
    ("shipped", "expected"),
    [
        (
            23.95,
            "JDRL ends 0.66 dB above the network as shipped (95 % interval +0.41 to +0.91 dB, which excludes",
        ),
        (
            24.5,
            "JDRL and the network as shipped are indistinguishable here: the difference is +0.11 dB (95 % interv",
        ),
        (25.0, "JDRL ends 0.39 dB below the network as shipped (95 % interval −0.64 to −0.14 dB, which excludes"),
    ],
)
def test_fitting_has_helped_only_outside_the_interval(shipped: float, expected: str) -> None:
    assert expected in text_of(made_up(shipped=shipped))


@pytest.mark.parametrize(
    ("pixel_wise", "expected"),
    [
        (
            22.87,
            "ends 1.08 dB below the network as shipped and 0.54 dB below the blurry images: worse than leaving them",
        ),
        (23.71, "ends 0.24 dB below the network as shipped and 0.30 dB above the blurry images ("),
        (23.412, "ends 0.54 dB below the network as shipped and level with the blurry images ("),
        (24.25, "ends 0.30 dB above the network as shipped and 0.84 dB above the blurry images ("),
        (23.953, "ends level with the network as shipped and 0.54 dB above the blurry images ("),
    ],
)
def test_pixel_wise_training_is_called_worse_where_it_is(pixel_wise: float, expected: str) -> None:
    assert expected in text_of(made_up((23.41, pixel_wise, 24.02, 24.61, 25.13)))


@pytest.mark.parametrize(
    ("jdrl", "over_blurry", "over_pixel_wise"),
    [
        (
            24.61,
            "JDRL ends 1.20 dB above the blurry images: 70 % of the 1.72 dB",
            "ends 1.74 dB above pixel-wise training",
        ),
        (
            23.31,
            "is indistinguishable from the blurry images: the difference is −0.10 dB",
            "0.44 dB above pixel-wise",
        ),
        (22.41, "JDRL ends 1.00 dB below the blurry images: −58 % of the 1.72 dB", "0.46 dB below pixel-wise training"),
    ],
)
def test_shares_follow_sign_and_interval(jdrl: float, over_blurry: str, over_pixel_wise: str) -> None:
    text = text_of(made_up((23.41, 22.87, 24.02, jdrl, 25.13)))
    assert over_blurry in text
    assert over_pixel_wise in text


def test_no_fraction_of_a_negative_gain() -> None:
    text = text_of(made_up((23.41, 22.87, 24.02, 24.61, 23.0)))
    assert (
        "the upper bound is not above the blurry images (−0.41 dB), so a fraction of its gain is meaningless here"
        in text
    )
    assert "Above the upper bound: Blurry image, As shipped, Registered first and JDRL, by up to 1.61 dB." in text
    assert "This is not expected" in text


def test_ending_just_above_the_upper_bound_is_no_success() -> None:
    assert "Above the upper bound" not in text_of(made_up())
    text = text_of(made_up((25.33, 22.30, 27.74, 28.43, 28.29), shipped=27.42))
    assert "Above the upper bound, by 0.14 dB at most: JDRL." in text
    assert "read this as level with it, not as better" in text
    assert "not expected" not in text
    assert "105 % of the 2.96 dB that the upper bound gains over them" in text
