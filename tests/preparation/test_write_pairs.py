"""Pairs as PNG files, read back by Pillow and OpenCV; existing files are protected."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from jdrl_lightning import Pair, UserError
from jdrl_lightning.preparation.write_pairs import clear_pictures, write_pair


def pair(name: str, dtype: torch.dtype = torch.uint8) -> Pair:
    levels = torch.arange(3 * 4 * 5, dtype=torch.int32).view(3, 4, 5) * (4 if dtype == torch.uint8 else 1000)
    return Pair(levels.to(dtype), levels.flip(2).to(dtype), name, {})


def test_eight_bits_are_read_by_pillow(tmp_path: Path) -> None:
    write_pair(tmp_path, pair("a.b"))
    for folder, image in (("blur", pair("").blurry), ("gt", pair("").sharp)):
        with Image.open(tmp_path / folder / "a.b.png") as file:
            np.testing.assert_array_equal(np.asarray(file), image.permute(1, 2, 0).numpy())


def test_sixteen_bits_are_read_by_opencv(tmp_path: Path) -> None:
    write_pair(tmp_path, pair("a", torch.uint16))
    found = cv2.imread(str(tmp_path / "gt" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[..., ::-1], pair("", torch.uint16).sharp.permute(1, 2, 0).numpy())


def test_two_pairs_with_one_name(tmp_path: Path) -> None:
    write_pair(tmp_path, pair("a"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    with pytest.raises(UserError, match=r"blur/a\.png: two pairs have this name; rename the files of one of them$"):
        write_pair(tmp_path, pair("a", torch.uint16))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == before


def test_only_pictures_are_cleared_and_only_on_request(tmp_path: Path) -> None:
    clear_pictures(tmp_path / "nowhere", overwrite=False)
    write_pair(tmp_path, pair("a"))
    kept = [tmp_path / "blur" / "notes.txt", tmp_path / "other" / "b.png", tmp_path / "c.png"]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"blur/a\.png: exists; give another output=… or overwrite=true$"):
        clear_pictures(tmp_path, overwrite=False)
    assert (tmp_path / "blur" / "a.png").exists()
    clear_pictures(tmp_path, overwrite=True)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
    clear_pictures(tmp_path, overwrite=False)
    write_pair(tmp_path, pair("a"))


def test_a_sharp_image_alone_is_protected_too(tmp_path: Path) -> None:
    write_pair(tmp_path, pair("a"))
    (tmp_path / "blur" / "a.png").unlink()
    with pytest.raises(UserError, match=r"gt/a\.png: exists"):
        clear_pictures(tmp_path, overwrite=False)
