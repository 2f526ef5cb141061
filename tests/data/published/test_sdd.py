"""SDD: partners with the same name, and a validation split that shares no photograph with training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import trees
from data.published import opening
from jdrl_lightning.data.published import sdd

PATCHES = [f"DSC_{photo:04}_{patch}" for photo in range(10, 20) for patch in range(1, 13)]


def create(root: Path, split: str, **settings: Any) -> Any:
    return opening.create("sdd", root, split, **settings)


def error_message(root: Path, split: str = "train", **settings: Any) -> str:
    return opening.error_message("sdd", root, split, **settings)


def names(found: Any) -> list[str]:
    return [place.name for place in found.places]


def photographs(found: Any) -> set[str | None]:
    return {sdd.photograph(name) for name in names(found)}


@pytest.mark.parametrize("inner", ["", "SDD"])
def test_partners(tmp_path: Path, inner: str) -> None:
    trees.same_names(tmp_path / inner, "test/blur", "test/gt", [f"{i}" for i in range(1, 13)])
    found = create(tmp_path, "test")
    assert names(found) == [f"{i}" for i in range(1, 13)]
    for number in range(12):
        pair = found[number]
        assert [int(image[0, 0, 0]) for image in (pair.blurry, pair.sharp)] == [5 * number + 1, 5 * number + 2]


@pytest.mark.parametrize(("fraction", "held"), [(0.1, 1), (0.3, 3), (0.99, 9), (0.001, 1)])
def test_no_photograph_is_in_both_splits(tmp_path: Path, fraction: float, held: int) -> None:
    root = trees.same_names(tmp_path, "train_patches/blur", "train_patches/gt", PATCHES)
    train, val = (create(root, split, val_fraction=fraction) for split in ("train", "val"))
    assert len(photographs(val)) == held
    assert len(photographs(train)) == 10 - held
    assert not photographs(train) & photographs(val)
    assert sorted(names(train) + names(val)) == sorted(PATCHES)


def test_numbered_patches_are_split_at_the_end(tmp_path: Path) -> None:
    """If numbered by photograph, at most one photograph is in both splits."""
    root = trees.same_names(tmp_path, "train_patches/blur", "train_patches/gt", [f"{i}" for i in range(1, 41)])
    assert names(create(root, "train")) == [f"{i}" for i in range(1, 37)]
    assert names(create(root, "val")) == ["37", "38", "39", "40"]


@pytest.mark.parametrize(
    ("name", "photograph"),
    [
        ("12_3", "12"),
        ("1P0A0859-12", "1P0A0859"),
        ("DSC_0012_3", "DSC_0012"),
        ("DSC_0012_3_1", "DSC_0012"),
        ("0001", None),
        ("DSC_0012", None),
        ("DSC_0012_blur", None),
    ],
)
def test_the_photograph_of_a_patch(name: str, photograph: str | None) -> None:
    assert sdd.photograph(name) == photograph


def test_whole_images_instead_of_patches(tmp_path: Path) -> None:
    root = trees.same_names(tmp_path, "train/blur", "train/gt", ["a", "b", "c"])
    assert names(create(root, "train")) == ["a", "b"]
    trees.same_names(tmp_path, "train_patches/blur", "train_patches/gt", PATCHES)
    assert len(create(root, "train")) == 108


def test_errors(tmp_path: Path) -> None:
    root = trees.same_names(tmp_path, "train_patches/blur", "train_patches/gt", ["1_1", "1_2", "2_1"])
    line = error_message(root, "test")
    assert f"{root}: SDD's test not found; expected <root>/{{train_patches,test}}/{{blur,gt}}/*.png" in line
    assert "data.val_fraction=1" in error_message(root, val_fraction=1)
    unmatched = trees.picture(root / "train_patches/gt/2_2.png", 1)
    assert f"{unmatched}: no partner with this name in {root / 'train_patches/blur'}" in error_message(root)
    assert "pair_by" not in error_message(root)  # a setting that SDD does not have
    unmatched.unlink()
    trees.picture(root / "train_patches/gt/1_2.png", 1, height=13)
    held_out = sdd.find(root, "val")
    split = "val" if "1_2" in [place.name for place in held_out] else "train"
    assert "1_2.png has 16x12 pixels" in error_message(root, split)
    for file in (root / "train_patches/gt").iterdir():
        file.unlink()
    assert f"{root / 'train_patches/gt'}: no images in it" in error_message(root)


def test_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sdd.COUNTS == {"train_patches": 4830, "train": 115, "test": 35}
    root = trees.same_names(tmp_path, "train_patches/blur", "train_patches/gt", PATCHES)
    create(root, "val")
    (record,) = caplog.records
    assert "120 pairs, but the published split has 4,830" in record.getMessage()
    monkeypatch.setitem(sdd.COUNTS, "train_patches", 120)
    create(root, "train")
    assert len(caplog.records) == 1
