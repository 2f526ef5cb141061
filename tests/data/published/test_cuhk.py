"""CUHK: images without sharp partners, in one folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

import trees
from data.published.opening import create, error_message
from jdrl_lightning.diagnosis.tables import show_pairs


@pytest.mark.parametrize("folder", ["", "CUHK"])
def test_images_of_each_layout(tmp_path: Path, folder: str) -> None:
    trees.picture(tmp_path / folder / "out_of_focus0001.jpg", 20)
    trees.picture(tmp_path / folder / "out_of_focus0002.png", 30, height=20)
    found = create("cuhk", tmp_path)
    assert not found.has_sharp
    assert [found[i].name for i in (0, 1)] == ["out_of_focus0001", "out_of_focus0002"]
    assert int(found[1].sharp[0, 0, 0]) == 30
    console = Console(record=True, width=200)
    settings = {"name": "cuhk", "root": str(tmp_path), "crop": 8}
    show_pairs(console, {"data": settings, "seed": 0, "split": "test", "device": "cpu", "pairs": 4})
    assert "2 images without sharp partners, so nothing to compare" in console.export_text()


def test_images_without_partners_cannot_be_registered(tmp_path: Path) -> None:
    trees.picture(tmp_path / "a.png", 20)
    assert "data.register=affine" in error_message("cuhk", tmp_path, register="affine")
