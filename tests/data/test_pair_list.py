"""Lists of pairs: what is read, and a one-line error with the line number for each mistake."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import trees
from jdrl_lightning import UserError
from jdrl_lightning.data.pair_list import read_pair_list
from jdrl_lightning.data.pairing import PairPaths

ROWS = [
    ("a/0.png", "gt/a.png", "train"),
    ("a/1.png", "gt/a.png", "train"),
    ("b/0.png", "gt/b.png", "val"),
    ("b, too/2.png", "gt/b.png", "val"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in {name for row in ROWS for name in row[:2]}:
        trees.picture(tmp_path / name, 1)
    return tmp_path


def write(root: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("blurry", "sharp", "split")) -> Path:
    with (root / "pairs.csv").open("w", newline="", encoding="utf-8-sig") as stream:  # with a mark, as Excel's
        csv.writer(stream).writerows([header, *rows])
    return root / "pairs.csv"


def error_message(file: Path) -> str:
    with pytest.raises(UserError) as raised:
        read_pair_list(file)
    line = str(raised.value)
    assert "\n" not in line
    assert line.startswith(str(file))
    return line.removeprefix(str(file))


def test_several_blurry_images_share_a_sharp_one(root: Path) -> None:
    def place(name: str, blurry: str, sharp: str) -> PairPaths:
        return PairPaths(name, root / blurry, root / sharp)

    assert read_pair_list(write(root, ROWS)) == {
        "train": [place("a_0", "a/0.png", "gt/a.png"), place("1", "a/1.png", "gt/a.png")],
        "val": [place("b_0", "b/0.png", "gt/b.png"), place("2", "b, too/2.png", "gt/b.png")],
    }


def test_columns_in_any_order_and_spaces_after_commas(root: Path) -> None:
    (root / "lists").mkdir()
    file = root / "lists" / "mine.csv"
    file.write_text(f"split, aperture, sharp, blurry\n\ntrain, 2.8, ../gt/a.png, {root}/a/0.png\n")
    assert read_pair_list(file) == {"train": [PairPaths("0", root / "a/0.png", root / "lists/../gt/a.png")]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a/0.png", "gt/a.png", "valid"), ", line 6: split 'valid' must be train, val or test"),
        (("a/9.png", "gt/a.png", "train"), ", line 6: blurry 'a/9.png': no such file; correct the path"),
        (("a", "gt/a.png", "train"), ", line 6: blurry 'a': no such file; correct the path"),
        (("a/1.png", "gt/\n.png", "train"), r", line 7: sharp 'gt/\n.png': no such file; correct the path"),
        (("a/1.png", "gt/\0.png", "train"), r", line 6: sharp 'gt/\x00.png': no such file; correct the path"),
        (("a/1.png", "a" * 300, "train"), "File name too long; correct the path"),
        (("gt/a.png", "a/../gt/a.png", "train"), ", line 6: blurry and sharp are the same file 'gt/a.png'; correct"),
        (("gt/../a/1.png", "gt/a.png", "train"), "blurry 'gt/../a/1.png' is listed in line 3; remove"),
        (
            ("gt/b.png", "gt/a.png", "val"),
            ", line 6: sharp 'gt/a.png' is in split train in line 2 and in val here; put",
        ),
        (("a/1.png", "gt/a.png", ""), ", line 6: no split; fill it in, or remove the line"),
        (("a/1.png", "gt/a.png"), ", line 6: no split; fill it in, or remove the line"),
        (("b", " too/2.png", "gt/b.png", "val"), ", line 6: more cells than line 1; quote commas, or remove"),
    ],
)
def test_a_wrong_row(root: Path, row: tuple[str, ...], message: str) -> None:
    assert message in error_message(write(root, [*ROWS, row]))


def test_names_that_folders_do_not_tell_apart(root: Path) -> None:
    trees.picture(root / "a/0.tif", 1)
    line = error_message(write(root, [*ROWS, ("a/0.tif", "gt/a.png", "train")]))
    assert ", line 6: blurry 'a/0.tif' has the same name 'a_0' as the one in line 2; remove or rename one" in line


def test_a_wrong_file(root: Path) -> None:
    assert error_message(root / "none.csv").startswith(": No such file or directory; set data.pairs to a CSV file")
    assert error_message(root).startswith(": Is a directory; set data.pairs")
    file = write(root, [], ("blurry", "sharp", "set"))
    line = error_message(file)
    assert line.endswith("columns blurry, sharp, split once, separated by commas; found 'blurry', 'sharp', 'set'")
    assert error_message(write(root, [])) == ", line 1: no rows below it; add a line for each pair"
    file.write_bytes(b"")
    assert error_message(file).endswith("found nothing")
    file.write_bytes(b"\xff\xfe\x00")
    assert error_message(file) == ": not a text in UTF-8; save it as CSV in UTF-8"
    file.write_text('blurry,sharp,split\n"a/0.png"x,gt/a.png,train\n')
    assert error_message(file).startswith(", line 2: not CSV (")
