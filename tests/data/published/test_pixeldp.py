"""PixelDP: images without sharp partners, at their bit depth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import trees
from data.published.opening import create


@pytest.mark.parametrize("folder", ["test_c/source", "test_c", "PixelDP/test_c/source"])
def test_images_of_each_layout(tmp_path: Path, folder: str) -> None:
    for number in (1, 2):
        trees.picture(tmp_path / folder / f"{number}.png", 1000 * number + 7, bits=16)
    found = create("pixeldp", tmp_path)
    assert not found.has_sharp
    assert len(found) == 2
    assert found[1].blurry.dtype == torch.uint16
    assert int(found[1].blurry[0, 0, 0]) == 2007
    assert torch.equal(found[1].blurry, found[1].sharp)
