"""Matching by order of names, on DPDD's numbering."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.data.published.filename_matching import match_in_order, natural, shots


def files(folder: str, *names: str) -> list[Path]:
    return [Path(folder, f"{name}.png") for name in names]


def test_natural_order() -> None:
    ordered = ["1P0A2", "1P0A10", "2P0A1", "a", "a1", "a1b", "a02", "a2", "a10", "b"]
    assert sorted(random.Random(0).sample(ordered, len(ordered)), key=natural) == ordered


@pytest.mark.parametrize(
    ("name", "photograph", "crop"),
    [
        ("1P0A0859", "1P0A0859", ""),
        ("1P0A0859_L", "1P0A0859", ""),
        ("1P0A0859_L-12", "1P0A0859", "12"),
        ("1P0A0859-12_L", "1P0A0859", "12"),
        ("1P0A0859-012", "1P0A0859", "12"),
        ("1P0A0859_X", "1P0A0859_X", ""),
    ],
)
def test_photograph_and_crop_of_a_name(name: str, photograph: str, crop: str) -> None:
    (path,) = files("here", name)
    assert shots([path], cropped=True) == {photograph: {crop: path}}


def test_whole_images_are_not_crops() -> None:
    assert list(shots(files("here", "scene-2", "scene-1", "scene-10"))) == ["scene-1", "scene-2", "scene-10"]
    assert list(shots(files("here", "a-2", "a-10", "a-1"), cropped=True)["a"]) == ["1", "2", "10"]


def test_one_name_twice() -> None:
    with pytest.raises(UserError, match=r"here/a_L\.png: a\.png has the same name; remove or rename one of them"):
        shots(files("here", "a", "a_L"))
    with pytest.raises(UserError, match=r"here/a-01\.png: a-1\.png has the same name"):
        shots(files("here", "a-1", "a-01"), cropped=True)


def test_partners_are_at_most_two_numbers_apart() -> None:
    ours, theirs = files("ours", "S859", "S871", "S998"), files("theirs", "S858", "S873", "S997")
    assert match_in_order(shots(ours), shots(theirs)) == dict(zip(ours, theirs, strict=True))
    with pytest.raises(UserError, match=r"^ours/S871\.png: no partner in theirs \(3 photographs here, 3 there"):
        match_in_order(shots(ours), shots(files("theirs", "S858", "S874", "S997")))
    with pytest.raises(UserError, match=r"^theirs/S868\.png: no partner in ours"):
        match_in_order(shots(ours), shots(files("theirs", "S858", "S868", "S997")))


def test_names_without_numbers_match_by_order_alone() -> None:
    ours, theirs = files("ours", "a", "c"), files("theirs", "b", "z")
    assert match_in_order(shots(ours), shots(theirs)) == dict(zip(ours, theirs, strict=True))
    with pytest.raises(UserError, match=r"^theirs/z\.png: no partner in ours \(2 photographs here, 1 there"):
        match_in_order(shots(ours[:1]), shots(theirs))
    with pytest.raises(UserError, match=r"^ours/c\.png: no partner in theirs \(2 photographs here, 1 there"):
        match_in_order(shots(ours), shots(theirs[:1]))


def test_a_crop_without_partner() -> None:
    ours, theirs = shots(files("ours", "S1-0", "S1-1"), cropped=True), shots(files("theirs", "S2-1"), cropped=True)
    for one, other in ((ours, theirs), (theirs, ours)):
        with pytest.raises(UserError, match=r"^ours/S1-0\.png: no crop 0 in theirs; add it or remove the file$"):
            match_in_order(one, other)
