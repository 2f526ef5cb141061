"""Data sets for testing only: RealDOF, and PixelDP and CUHK, which have no sharp images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import trees
from jdrl_lightning import UserError, build, data
from jdrl_lightning.data.published import realdof
from jdrl_lightning.doctor import show_pairs


def create(name: str, root: Path, split: str = "test", **settings: Any) -> Any:
    return data.create(name, **{"split": split, "seed": 0, "crop": 8, "root": root, **settings})


def error_message(name: str, root: Path, **settings: Any) -> str:
    with pytest.raises(UserError) as raised:
        create(name, root, **settings)
    line = str(raised.value)
    assert "\n" not in line
    return line


def seen(name: str, root: Path) -> str:
    console = Console(record=True, width=200)
    config = {
        "data": {"name": name, "root": str(root), "crop": 8},
        "seed": 0,
        "split": "test",
        "device": "cpu",
        "pairs": 4,
    }
    show_pairs(console, config)
    return console.export_text()


@pytest.mark.parametrize("inner", ["", "RealDOF"])
def test_realdof(tmp_path: Path, inner: str) -> None:
    trees.same_names(tmp_path / inner, "source", "target", [f"{i}" for i in range(1, 13)])
    found = create("realdof", tmp_path)
    assert found.has_sharp
    assert [found[i].name for i in (0, 1, 11)] == ["1", "2", "12"]
    assert [(int(p.blurry[0, 0, 0]), int(p.sharp[0, 0, 0])) for p in (found[0], found[11])] == [(1, 2), (56, 57)]


def test_realdof_with_files_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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


@pytest.mark.parametrize("folder", ["test_c/source", "test_c", "PixelDP/test_c/source"])
def test_pixeldp(tmp_path: Path, folder: str) -> None:
    for number in (1, 2):
        trees.picture(tmp_path / folder / f"{number}.png", 1000 * number + 7, bits=16)
    found = create("pixeldp", tmp_path)
    assert not found.has_sharp
    assert len(found) == 2
    assert found[1].blurry.dtype == torch.uint16
    assert int(found[1].blurry[0, 0, 0]) == 2007
    assert torch.equal(found[1].blurry, found[1].sharp)


@pytest.mark.parametrize("folder", ["", "CUHK"])
def test_cuhk(tmp_path: Path, folder: str) -> None:
    trees.picture(tmp_path / folder / "out_of_focus0001.jpg", 20)
    trees.picture(tmp_path / folder / "out_of_focus0002.png", 30, height=20)
    found = create("cuhk", tmp_path)
    assert not found.has_sharp
    assert [found[i].name for i in (0, 1)] == ["out_of_focus0001", "out_of_focus0002"]
    assert int(found[1].sharp[0, 0, 0]) == 30
    assert "2 pictures without sharp ones, so nothing to compare" in seen("cuhk", tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"), [("pixeldp", "test_c/source/*.png"), ("cuhk", "<root>/*.jpg or *.png"), ("realdof", "source")]
)
def test_another_layout(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "nowhere"):
        line = error_message(name, root)
        assert str(root) in line
        if name != "cuhk" or not root.exists():
            assert expected in line


@pytest.mark.parametrize("name", ["realdof", "pixeldp", "cuhk"])
def test_training_on_them_is_refused(tmp_path: Path, name: str) -> None:
    for split in ("train", "val"):
        line = error_message(name, tmp_path, split=split)
        assert f"data={name} is for testing only and has no {split} split: train on another data set" in line
    config = {"data": {"name": name, "root": str(tmp_path), "crop": 8}, "seed": 0}
    with pytest.raises(UserError, match="for testing only"):
        build.datamodule(config).setup("fit")


def test_images_without_partners_cannot_be_registered(tmp_path: Path) -> None:
    trees.picture(tmp_path / "a.png", 20)
    assert "data.register=affine" in error_message("cuhk", tmp_path, register="affine")


def test_doctor_measures_pairs(tmp_path: Path, photo: torch.Tensor) -> None:
    from jdrl_lightning.io.image import write_image

    for folder, left in (("source", 100), ("target", 103)):
        write_image(tmp_path / folder / "1.png", photo[:, 100:196, left : left + 128].contiguous())
    text = seen("realdof", tmp_path)
    assert "data=realdof" in text
    assert "1 of 1, split test" in text
