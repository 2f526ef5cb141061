"""Reading at 8 bits: OpenCV's own values, from files and packed, and only where there are 16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import trees
from data.published.opening import create, error_message
from jdrl_lightning import Pair
from jdrl_lightning.data.bit_depth import EightBit, high_byte
from jdrl_lightning.data.storage.pack import pack
from jdrl_lightning.io.image import read_image


def noise(file: Path, seed: int = 0) -> Path:
    """A 16-bit picture of every kind of value."""
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), np.random.default_rng(seed).integers(0, 65536, (12, 16, 3)).astype(np.uint16))
    return file


def test_as_opencv_and_pillow_read_it(tmp_path: Path) -> None:
    file = noise(tmp_path / "a.png")
    ours = high_byte(read_image(file))
    assert ours.dtype == torch.uint8
    theirs: Any = cv2.imread(str(file))
    np.testing.assert_array_equal(ours.numpy(), theirs[..., ::-1].transpose(2, 0, 1))
    np.testing.assert_array_equal(ours.numpy(), np.asarray(Image.open(file)).transpose(2, 0, 1))


def test_other_types_pass_and_nothing_is_copied() -> None:
    for image in (torch.zeros(3, 2, 2, dtype=torch.uint8), torch.zeros(2, 2, 2)):
        assert high_byte(image) is image
    wide = torch.zeros(3, 2, 2, dtype=torch.uint16)
    narrow = high_byte(wide)
    wide.fill_(0xAB12)
    assert narrow.eq(0xAB).all()


def test_every_image_of_a_pair() -> None:
    wide = torch.full((3, 4, 4), 0x0102, dtype=torch.uint16)
    pairs: Any = [Pair(wide, wide, "a", {"left": wide, "flow": torch.ones(2, 4, 4)})]
    read = EightBit(pairs)
    assert len(read) == 1
    assert read.has_sharp
    pair = read[0]
    assert all(
        image.dtype == torch.uint8 and image.eq(1).all() for image in (pair.blurry, pair.sharp, pair.extras["left"])
    )
    assert pair.extras["flow"].eq(1).all()


@pytest.mark.parametrize("store", ["files", "packed"])
def test_dpdd(tmp_path: Path, store: str) -> None:
    root = trees.dpdd(tmp_path / "DPDD")
    noise(root / "train_c/source/1P0A0861.png", 1)
    if store == "packed":
        pack(create("dpdd", root, "train", views=True), tmp_path / "packed" / "train")
        found = create("dpdd", tmp_path / "packed", "train", store="packed", bit_depth=8)
    else:
        found = create("dpdd", root, "train", views=True, bit_depth=8)
    theirs: Any = cv2.imread(str(root / "train_c/source/1P0A0861.png"))
    np.testing.assert_array_equal(found[1].blurry.numpy(), theirs[..., ::-1].transpose(2, 0, 1))
    assert found[1].extras["right"].eq((trees.value(1, "right") + torch.arange(3)[:, None, None]) >> 8).all()


def test_test_sets(tmp_path: Path) -> None:
    for name, folder in (("pixeldp", "test_c"), ("realdof", "source"), ("realdof", "target")):
        trees.picture(tmp_path / name / folder / "1.png", 1000, bits=16)
    for name in ("pixeldp", "realdof"):
        found = create(name, tmp_path / name, bit_depth=8)
        assert found[0].sharp.eq(1000 >> 8).all()
        assert found.has_sharp == (name == "realdof")
        assert create(name, tmp_path / name)[0].blurry.dtype == torch.uint16


def test_other_depths_are_refused(tmp_path: Path) -> None:
    assert "data.bit_depth=16 is neither null, as stored, nor 8" in error_message(
        "dpdd", trees.dpdd(tmp_path), "train", bit_depth=16
    )
