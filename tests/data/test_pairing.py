"""Matching files by name, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.data.pairing import PairPaths, match_by_name, pictures


def files(folder: str, *names: str) -> list[Path]:
    return [Path(folder, name) for name in names]


def test_suffixes_are_ignored_and_the_blurry_order_is_kept() -> None:
    blurry, sharp = files("blur", "c.jpg", "a.png", "b.1.png"), files("gt", "a.tif", "b.1.png", "c.png")
    assert match_by_name(blurry, sharp) == [
        ("c", blurry[0], sharp[2], None), ("a", blurry[1], sharp[0], None), ("b.1", blurry[2], sharp[1], None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("blurry", "sharp", "message"),
    [
        ("ab", "a", r"^blur/b\.png: no partner with this name in gt; add it or remove the file, or rename$"),
        ("a", "ab", r"^gt/b\.png: no partner with this name in blur; add it"),
        ("abcd", "a", r"^blur/b\.png: no partner with this name in gt \(nor for 2 more\); add it"),
        ("aab", "b", r"^blur/a\.png: a\.png has the same name; remove or rename one of them$"),
    ],
)
def test_files_without_partner(blurry: str, sharp: str, message: str) -> None:
    folders = [files(folder, *(f"{name}.png" for name in names)) for folder, names in (("blur", blurry), ("gt", sharp))]
    with pytest.raises(UserError, match=message):
        match_by_name(*folders, otherwise=", or rename")


def test_numbered_blurry_images_share_a_sharp_one() -> None:
    blurry = files("blur", "000_0.png", "000_1.png", "001.png", "001_2.png", "001_3_07.png")
    sharp = files("gt", "000.tif", "001.png", "001_2.png", "001_3.png")
    partners = [place.sharp.name for place in match_by_name(blurry, sharp) if place.sharp]
    assert partners == ["000.tif", "000.tif", "001.png", "001_2.png", "001_3.png"]


@pytest.mark.parametrize("name", ["000_0_1", "000_a", "000_", "0001", "000-1", "000_١", "_1"])
def test_other_names_are_not_of_a_series(name: str) -> None:
    with pytest.raises(UserError, match=f"^blur/{name}.png: no partner with this name in gt;"):
        match_by_name(files("blur", "000_0.png", f"{name}.png"), files("gt", "000.png"))


def test_pictures_are_the_image_files_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{tmp_path}/nowhere: no such folder; look elsewhere$"):
        pictures(tmp_path / "nowhere", "look elsewhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=f"^{tmp_path}: no images in it; supported are .*png"):
        pictures(tmp_path, "look elsewhere")
    for name in ("b.png", "a.TIF"):
        (tmp_path / name).touch()
    assert [path.name for path in pictures(tmp_path, "")] == ["a.TIF", "b.png"]


def test_partners_are_all_files_but_the_blurry_one() -> None:
    blurry, sharp, left, right = files("here", "b.png", "s.png", "l.png", "r.png")
    assert PairPaths("b", blurry, None).partners() == []
    assert PairPaths("b", blurry, sharp).partners() == [sharp]
    assert PairPaths("b", blurry, sharp, (left, right)).partners() == [sharp, left, right]
