"""LFDOF: several apertures with one sharp image, and all of a scene in one split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import trees
from data.published import opening
from jdrl_lightning.data import pairs
from jdrl_lightning.data.published import lfdof

SCENES = ["IMG_ap_7", *(f"scene_{number}" for number in range(9))]  # the first has _ap in its own name


def fill(root: Path, folder: str) -> Path:
    """n % 3 + 1 apertures of the n-th scene with the value ``10 n + aperture``; the sharp image has ``10 n``."""
    for number, scene in enumerate(SCENES):
        trees.picture(root / folder / "ground_truth" / f"{scene}.png", 10 * number)
        for aperture in range(1, number % 3 + 2):
            trees.picture(root / folder / "input" / f"{scene}_ap{aperture}.png", 10 * number + aperture)
    return root


def create(root: Path, split: str, **settings: Any) -> Any:
    return opening.create("lfdof", root, split, **settings)


def error_message(root: Path, split: str) -> str:
    return opening.error_message("lfdof", root, split)


@pytest.mark.parametrize("inner", ["", "LFDOF"])
@pytest.mark.parametrize("ending", ["", "_data"])
def test_every_aperture_has_its_scene(tmp_path: Path, ending: str, inner: str) -> None:
    fill(tmp_path / inner, f"test{ending}")
    found = create(tmp_path, "test")
    assert len(found) == 19
    for pair in (found[index] for index in range(len(found))):
        scene, _, aperture = str(pair.name).rpartition("_ap")
        number = SCENES.index(scene)
        assert int(pair.blurry[0, 0, 0]) == 10 * number + int(aperture)
        assert int(pair.sharp[0, 0, 0]) == 10 * number


def test_a_scene_is_in_one_split(tmp_path: Path) -> None:
    fill(tmp_path / "here", "train")
    train, val = (create(tmp_path / "here", split, val_fraction=0.3) for split in ("train", "val"))
    scenes = [{place.sharp.name for place in found.places} for found in (train, val)]
    assert [len(names) for names in scenes] == [7, 3]
    assert not scenes[0] & scenes[1]
    assert len(train) + len(val) == 19
    fill(tmp_path / "there", "train")  # the same in another folder
    again = create(tmp_path / "there", "val", val_fraction=0.3)
    assert [place.name for place in again.places] == [place.name for place in val.places]


def test_a_shared_image_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(pairs, "_decode", lambda path: (read.append(path), path)[1])
    create(fill(tmp_path, "test"), "test")
    assert len(read) == len(set(read)) == 19 + len(SCENES)


def test_errors(tmp_path: Path) -> None:
    assert f"{tmp_path}: LFDOF's test split not found; expected <root>/" in error_message(tmp_path, "test")
    root = fill(tmp_path, "test")
    odd = trees.picture(root / "test/input/notes.png", 1)
    assert f"{odd}: no partner <id>.png in {root / 'test/ground_truth'}" in error_message(root, "test")
    odd.unlink()
    (root / "test/ground_truth/scene_4.png").unlink()
    assert "scene_4_ap1.png: no partner scene_4.png" in error_message(root, "test")
    trees.picture(root / "test/ground_truth/scene_4.png", 1, height=13)
    assert "scene_4_ap1.png has 16x12 pixels" in error_message(root, "test")
    trees.picture(root / "test/ground_truth/scene_4.png", 1)
    unmatched = trees.picture(root / "test/ground_truth/scene_10.png", 1)
    assert f"{unmatched}: no partner scene_10_ap*.png" in error_message(root, "test")


def test_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lfdof.COUNTS == {"train": 11261, "test": 725}
    create(fill(tmp_path, "train"), "train")
    (record,) = caplog.records
    assert "19 pairs, but the published split has 11,261" in record.getMessage()
    monkeypatch.setitem(lfdof.COUNTS, "train", 19)
    create(tmp_path, "val")
    assert len(caplog.records) == 1
