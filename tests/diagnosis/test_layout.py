"""What a folder holds is told by its names; focus stacks by what they show."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import trees
from jdrl_lightning.diagnosis.layout import recognise
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import write_image
from stacks import rendered


def test_pairs_in_folders(pairs_folder: Path, tmp_path: Path) -> None:
    assert recognise(pairs_folder).data == {"name": "folder", "root": str(pairs_folder)}
    shutil.copytree(pairs_folder / "train", tmp_path / "flat")
    assert recognise(tmp_path / "flat").data == {"name": "folder", "root": str(tmp_path / "flat")}
    (tmp_path / "flat" / "blur").rename(tmp_path / "flat" / "LQ")
    (tmp_path / "flat" / "gt").rename(tmp_path / "flat" / "HQ")
    assert recognise(tmp_path / "flat").what == "pairs in folders"


def test_pairs_in_a_list_and_of_stacks(photo: torch.Tensor, tmp_path: Path) -> None:
    for name in ("a", "sharp"):
        write_image(tmp_path / f"{name}.png", photo[:, :16, :16].contiguous())
    (tmp_path / "pairs.csv").write_text("blurry,sharp,split\na.png,sharp.png,train\n")
    listed = {"name": "folder", "root": str(tmp_path), "pairs": "pairs.csv"}
    assert recognise(tmp_path).data == listed
    (tmp_path / "valid.png").touch()
    assert recognise(tmp_path).data == {"name": "stack", "root": str(tmp_path)}


def test_packed_pairs(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "index.json").touch()
    assert recognise(tmp_path).data == {"name": "folder", "root": str(tmp_path), "store": "packed"}


def test_published_data_sets(tmp_path: Path) -> None:
    trees.dpdd(tmp_path / "DPDD")
    assert recognise(tmp_path / "DPDD").data == {"name": "dpdd", "root": str(tmp_path / "DPDD")}
    trees.same_names(tmp_path / "RealDOF", "source", "target", ["a"])
    found = recognise(tmp_path / "RealDOF")
    assert found.data is None
    assert "evaluate ckpt_path=latest data=realdof " in found.instead


def test_focus_stacks_show_one_scene_and_photos_do_not(photo: torch.Tensor, tmp_path: Path) -> None:
    stack, photos = tmp_path / "shots" / "one", tmp_path / "photos"
    for number, frame in enumerate(rendered(photo, [1.0, 1.01, 1.02]).frames):
        write_image(stack / f"{number}.png", frame)
        top = 150 * number
        write_image(photos / f"{number}.png", photo[:, top : top + 160, 40 * number : 40 * number + 224].contiguous())
    found = recognise(tmp_path / "shots")
    assert found.data is None
    assert found.what.startswith("frames of 1 focus stacks")
    assert found.instead.endswith(f"prepare stack input={tmp_path / 'shots'} output=shots_pairs")
    assert recognise(photos).data == {"name": "photos", "root": str(photos)}
    write_image(photos / "train" / "0.png", photo[:, :64, :64].contiguous())
    for place in photos.glob("*.png"):
        place.unlink()
    assert recognise(photos).data == {"name": "photos", "root": str(photos)}


def test_what_is_unknown_is_said(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    with pytest.raises(UserError, match=r"neither pairs .* nor photos .*; found left/"):
        recognise(tmp_path)
    with pytest.raises(UserError, match="no such folder; give input="):
        recognise(tmp_path / "absent")
