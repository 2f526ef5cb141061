"""Restored images of a folder, matched to the blurry ones by name and size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.method_images import file_stem, folder, identity
from jdrl_lightning.evaluation.methods import Look, Method
from jdrl_lightning.types import Pair

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """``scene_1.png``, 24×20 px."""
    Image.fromarray(PIXELS).save(tmp_path / "scene_1.png")
    return tmp_path


def method(root: Path, crop: str = "none") -> Method:
    return folder({"restored": str(root), "crop": crop}, torch.device("cpu"))


def test_images_are_read_by_name_and_cropped(restored: Path) -> None:
    for crop, height, width in (("none", 20, 24), ("top_left_16", 16, 16)):
        found = method(restored, crop)
        assert found.check is not None
        found.check([Look("scene/1", height, width)])
        blurry = torch.zeros(1, 3, height, width)
        image = found.restore(Pair(blurry, blurry, ["scene/1"], {}))
        expected = PIXELS[None, :height, :width].transpose(0, 3, 1, 2) / 255
        np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)
    assert found.title == restored.name
    assert not found.makes_images


def test_images_that_do_not_match_are_named(restored: Path) -> None:
    check = method(restored).check
    assert check is not None
    with pytest.raises(UserError, match=r"scene_2\.png: no such image \(nor of 1 more\)"):
        check([Look("scene/1", 20, 24), Look("scene/2", 20, 24), Look("scene/3", 20, 24)])
    with pytest.raises(UserError, match=r"scene_1\.png: 24x20 pixels, but scene/1 has 24x40"):
        check([Look("scene/1", 40, 24)])
    Image.fromarray(PIXELS).save(restored / "scene_1.jpg")
    with pytest.raises(UserError, match=r"scene_1\.\w+ and .*scene_1\.\w+ have the same name; remove one"):
        method(restored)
    with pytest.raises(UserError, match="absent: no such folder"):
        method(restored / "absent")


def test_the_identity_returns_the_blurry_image() -> None:
    blurry, sharp = torch.rand(2, 1, 3, 8, 8)
    assert torch.equal(identity({}, torch.device("cpu")).restore(Pair(blurry, sharp, ["a"], {})), blurry)


def test_no_name_leaves_the_folder() -> None:
    assert [file_stem(name) for name in ("scene/1", "..\\..\\a", "../a", ".hidden", "Größe 1")] == [
        "scene_1", "_._.._a", "_._a", "_hidden", "Größe 1"
    ]  # fmt: skip
