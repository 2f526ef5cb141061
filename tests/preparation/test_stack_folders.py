"""Frames by folder, and one line for each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import write_image
from jdrl_lightning.preparation.stack_folders import find_stacks, reference_of


def fill(folder: Path, *names: str, height: int = 8, width: int = 10) -> Path:
    for name in names:
        write_image(folder / name, torch.zeros(3, height, width, dtype=torch.uint8))
    return folder


def test_a_folder_of_frames_and_a_folder_of_folders(tmp_path: Path) -> None:
    fill(tmp_path / "b", "2.png", "1.jpg", "fused.png")
    fill(tmp_path / "a", "0.png", "1.png")
    (tmp_path / "c").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("not a picture")
    found = find_stacks(tmp_path)
    assert {name: [file.name for file in files] for name, files in found.items()} == {
        "a": ["0.png", "1.png"],
        "b": ["1.jpg", "2.png", "fused.png"],
    }
    fill(tmp_path / "b", "10.png")
    assert [file.name for file in find_stacks(tmp_path / "b", "[0-9]*")["b"]] == ["1.jpg", "2.png", "10.png"]


@pytest.mark.parametrize(
    ("names", "pattern", "line"),
    [
        ((), "*", "{0}: no pictures with names like '*', here or in subfolders; set input or frames"),
        (("a.png",), "*", "{0}/a.png: the only frame of the stack stack; a stack has at least two"),
        (("a.png", "b.png"), "x*", "{0}: no pictures with names like 'x*', here or in subfolders; set input or frames"),
        (("a.jpg", "a.png"), "*", "{0}/a.png: a.jpg has the same name; remove one, or leave it out with frames=…"),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, names: tuple[str, ...], pattern: str, line: str) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    fill(folder, *names)
    with pytest.raises(UserError, match=f"^{re.escape(line.format(folder))}$"):
        find_stacks(folder, pattern)


def test_frames_of_another_size_or_that_are_no_pictures(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b.png")
    fill(tmp_path, "c.png", height=9)
    line = "c.png: 10x9 pixels, but a.png has 10x8; remove the odd one, or leave it out with frames=…"
    with pytest.raises(UserError, match=f"{re.escape(line)}$"):
        find_stacks(tmp_path)
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"c\.png: cannot be read \(not a PNG"):
        find_stacks(tmp_path)
    with pytest.raises(UserError, match=r"x: no such folder; set input to a folder of frames, or of such folders$"):
        find_stacks(tmp_path / "x")


def test_the_reference() -> None:
    files = [Path(f"s/f{number}.png") for number in range(4)]
    assert [reference_of(files, word) for word in ("middle", "first", "last", "f1", "f3.png")] == [2, 0, 3, 1, 3]
    with pytest.raises(UserError, match=r"s: no frame 'f9'; set reference to middle, first, last or a file's name"):
        reference_of(files, "f9")
