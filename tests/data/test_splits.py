"""Held-out pairs: splits are disjoint and complete, stable under additions, and groups stay whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.data.pairing import PairPaths
from jdrl_lightning.data.splits import hash_split, tail_split

HERE = Path("here")
SPLITS = [hash_split, tail_split]


def places(count: int) -> list[PairPaths]:
    return [PairPaths(f"{i:03}", HERE / "blur" / f"{i:03}.png", HERE / "gt" / f"{i:03}.png") for i in range(count)]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("count", "fraction", "held"), [(2, 0.01, 1), (2, 0.99, 1), (3, 0.99, 2), (10, 0.3, 3)])
def test_splits_are_disjoint_and_complete(
    split: Callable[..., list[PairPaths]], count: int, fraction: float, held: int
) -> None:
    train, val, test = (split(places(count), name, fraction, HERE) for name in ("train", "val", "test"))
    assert len(val) == held
    assert val == test
    assert sorted(train + val) == places(count)
    assert train == sorted(train), "the order is kept"


@pytest.mark.parametrize("count", [21, 40, 200])
def test_adding_pairs_moves_few_of_the_others(count: int) -> None:
    before, after = (set(hash_split(places(n), "val", 0.25, HERE)) for n in (20, count))
    more = len(after) - len(before)
    # An old pair leaves the held-out ones only for a new one that hashes lower.
    assert len(before - after) <= len(after - set(places(20)))
    assert more == round(count * 0.25) - 5
    assert hash_split(places(20)[::-1], "val", 0.25, HERE)[::-1] == hash_split(places(20), "val", 0.25, HERE)


def test_the_tail_is_held_out() -> None:
    assert tail_split(places(10), "val", 0.3, HERE) == places(10)[7:]


def test_groups_are_not_divided() -> None:
    def scene(place: PairPaths) -> str:
        return place.name[:2]  # ten pairs each

    train, val = (hash_split(places(100), name, 0.3, HERE, scene) for name in ("train", "val"))
    assert {len([p for p in val if scene(p) == key]) for key in map(scene, val)} == {10}
    assert len(val) == 30
    assert not {scene(place) for place in train} & {scene(place) for place in val}


def test_the_pairs_of_a_sharp_image_are_not_divided() -> None:
    series = [place._replace(sharp=places(100)[number // 4].sharp) for number, place in enumerate(places(100))]
    train, val = (hash_split(series, name, 0.2, HERE) for name in ("train", "val"))
    assert (len(train), len(val)) == (80, 20)
    assert not {place.sharp for place in train} & {place.sharp for place in val}
    frames = series[::4]  # the first of each series decides: more frames move none of the others
    assert {place.sharp for place in hash_split(frames, "val", 0.2, HERE)} == {place.sharp for place in val}
    with pytest.raises(UserError, match=r"^here: cannot split one pair .* one more scene$"):
        hash_split(series[:4], "train", 0.2, HERE)


@pytest.mark.parametrize("split", SPLITS)
def test_what_cannot_be_split(split: Callable[..., list[PairPaths]]) -> None:
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(UserError, match=rf"^data\.val_fraction={fraction}: must be between 0 and 1"):
            split(places(4), "train", fraction, HERE)
    with pytest.raises(UserError, match=r"^here: cannot split one pair into training and validation; add at least one"):
        split(places(1), "train", 0.5, HERE)
    with pytest.raises(UserError, match=r"^here: cannot split one pair"):
        hash_split(places(4), "train", 0.5, HERE, lambda place: "one scene")
