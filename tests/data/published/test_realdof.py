"""RealDOF: partners with the same name, for testing only."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rich.console import Console

import trees
from data.published.opening import create, error_message
from jdrl_lightning.data.published import realdof
from jdrl_lightning.diagnosis.tables import show_pairs
from jdrl_lightning.io.image import write_image


@pytest.mark.parametrize("inner", ["", "RealDOF"])
def test_partners(tmp_path: Path, inner: str) -> None:
    trees.same_names(tmp_path / inner, "source", "target", [f"{i}" for i in range(1, 13)])
    found = create("realdof", tmp_path)
    assert found.has_sharp
    assert [found[i].name for i in (0, 1, 11)] == ["1", "2", "12"]
    assert [(int(p.blurry[0, 0, 0]), int(p.sharp[0, 0, 0])) for p in (found[0], found[11])] == [(1, 2), (56, 57)]


def test_missing_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = trees.same_names(tmp_path, "source", "target", [f"{i}" for i in range(1, 13)])
    create("realdof", root)
    assert "12 pairs, but the published split has 50" in caplog.records[0].getMessage()
    (root / "target/12.png").unlink()
    assert f"{root / 'source/12.png'}: no partner in" in error_message("realdof", root)
    trees.picture(root / "target/12.png", 1, height=13)
    assert "12.png has 16x12 pixels" in error_message("realdof", root)
    assert "expected <root>/{source,target}/*.png" in error_message("realdof", root / "source")


def test_fifty_pairs_are_the_published_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trees.same_names(tmp_path, "source", "target", [f"{i}" for i in range(1, 51)])
    assert len(realdof.find(tmp_path)) == 50
    assert not caplog.records


def test_doctor_measures_pairs(tmp_path: Path, photo: torch.Tensor) -> None:
    for folder, left in (("source", 100), ("target", 103)):
        write_image(tmp_path / folder / "1.png", photo[:, 100:196, left : left + 128].contiguous())
    console = Console(record=True, width=200)
    settings = {"name": "realdof", "root": str(tmp_path), "crop": 8}
    show_pairs(console, {"data": settings, "seed": 0, "split": "test", "device": "cpu", "pairs": 4})
    text = console.export_text()
    assert "data=realdof" in text
    assert "1 of 1, split test" in text
