"""The user's own pairs: finding, splitting, and a one-line error for each problem."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from jdrl_lightning.data import decode_cache, pairs
from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import write_image


def picture(seed: int, height: int = 12, width: int = 16, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    top = 256 if dtype == torch.uint8 else 65536
    return torch.from_numpy(np.random.default_rng(seed).integers(0, top, (3, height, width))).to(torch.int32).to(dtype)


def fill(folder: Path, count: int = 4, dtype: torch.dtype = torch.uint8) -> Path:
    for i in range(count):
        write_image(folder / "blur" / f"{i:03}.png", picture(2 * i, dtype=dtype))
        write_image(folder / "gt" / f"{i:03}.png", picture(2 * i + 1, dtype=dtype))
    return folder


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test with an empty decode cache."""
    monkeypatch.setattr(decode_cache, "_KNOWN", {})


def error_message(root: Path, **settings: object) -> str:
    with pytest.raises(UserError) as raised:
        FolderPairs(root, **settings)  # type: ignore[arg-type]
    line = str(raised.value)
    assert "\n" not in line
    assert str(root) in line or "data." in line or "split" in line
    return line


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_pairs_are_whole_and_exact(tmp_path: Path, dtype: torch.dtype) -> None:
    fill(tmp_path / "train", 3, dtype)
    found = FolderPairs(tmp_path, "train")
    assert len(found) == 3
    pair = found[1]
    assert (pair.name, pair.extras) == ("001", {})
    assert torch.equal(pair.blurry, picture(2, dtype=dtype))
    assert torch.equal(pair.sharp, picture(3, dtype=dtype))


def test_each_split_has_its_folder(tmp_path: Path) -> None:
    for i, split in enumerate(("train", "val", "test")):
        fill(tmp_path / split, i + 1)
        assert len(FolderPairs(tmp_path, split)) == i + 1  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "fraction", "kept"), [(2, 0.1, 1), (3, 0.99, 2), (10, 0.3, 3), (7, 0.5, 4)])
def test_a_flat_folder_is_split(tmp_path: Path, count: int, fraction: float, kept: int) -> None:
    fill(tmp_path, count)
    train, val, test = (FolderPairs(tmp_path, s, val_fraction=fraction) for s in ("train", "val", "test"))
    names = [{place.name for place in found.places} for found in (train, val, test)]
    assert len(names[1]) == kept
    assert names[0] | names[1] == {f"{i:03}" for i in range(count)}
    assert not names[0] & names[1]
    assert names[1] == names[2]


def test_partners_by_name_or_by_order(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    write_image(folder / "blur" / "a.png", picture(0))
    write_image(folder / "gt" / "a.tif", picture(1))
    write_image(folder / "blur" / "c.png", picture(2))
    write_image(folder / "gt" / "b.png", picture(3))
    line = error_message(tmp_path)
    assert str(folder / "blur" / "c.png") in line
    assert "data.pair_by=order" in line
    found = FolderPairs(tmp_path, pair_by="order")
    assert [(p.blurry.name, p.sharp.name) for p in found.places] == [("a.png", "a.tif"), ("c.png", "b.png")]
    (folder / "blur" / "c.png").unlink()
    assert str(folder / "gt" / "b.png") in error_message(tmp_path)
    assert "1 files in blur/ but 2 in gt/" in error_message(tmp_path, pair_by="order")
    assert "data.pair_by=size" in error_message(tmp_path, pair_by="size")


def test_the_frames_of_a_sharp_image_are_in_one_split(tmp_path: Path) -> None:
    for scene in range(4):
        write_image(tmp_path / "Input" / f"{scene:03}_0.png", picture(3 * scene))
        write_image(tmp_path / "Input" / f"{scene:03}_1.png", picture(3 * scene + 1))
        write_image(tmp_path / "sharp" / f"{scene:03}.png", picture(3 * scene + 2))
    train, val = (FolderPairs(tmp_path, split, val_fraction=0.5) for split in ("train", "val"))  # type: ignore[arg-type]
    assert len(train) == len(val) == 4
    assert not {place.sharp for place in train.places} & {place.sharp for place in val.places}
    for pair in (train[0], train[1]):
        scene, frame = map(int, str(pair.name).split("_"))
        assert torch.equal(pair.blurry, picture(3 * scene + frame))
        assert torch.equal(pair.sharp, picture(3 * scene + 2))
    assert "8 files in Input/ but 4 in sharp/" in error_message(tmp_path, pair_by="order")


def test_pairs_of_a_list(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "list.csv").write_text(
        "blurry,sharp,split\nblur/000.png,gt/002.png,train\nblur/001.png,gt/002.png,train\n"
    )
    for file in ("list.csv", tmp_path / "list.csv"):
        found = FolderPairs(tmp_path, pairs=file)
        assert [place.name for place in found.places] == ["000", "001"]
        assert torch.equal(found[0].sharp, picture(5))
        assert torch.equal(found[1].sharp, picture(5))
    line = error_message(tmp_path, split="val", pairs="list.csv")
    assert line == f"{tmp_path}/list.csv: no rows with split val, only train; add some"


def test_two_files_with_one_name(tmp_path: Path) -> None:
    folder = fill(tmp_path / "train")
    write_image(folder / "gt" / "001.tif", picture(0))
    assert re.search(r"001\.tif: 001\.png has the same name", error_message(tmp_path))


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    assert "data.root" in error_message(tmp_path / "nowhere")
    assert "{train,val,test}/{blur,gt}" in error_message(tmp_path)
    (tmp_path / "blur").mkdir()
    (tmp_path / "blur" / "notes.txt").write_text("not an image")
    assert f"{tmp_path / 'blur'}: no images" in error_message(tmp_path)
    write_image(tmp_path / "blur" / "a.png", picture(0))
    assert f"{tmp_path / 'gt'}: no such folder" in error_message(tmp_path)
    write_image(tmp_path / "gt" / "a.png", picture(0))
    assert "one pair" in error_message(tmp_path)
    fill(tmp_path / "train")
    assert f"{tmp_path / 'val'}: no such folder" in error_message(tmp_path, split="val")
    assert "split=trian" in error_message(tmp_path, split="trian")


def test_unequal_sizes_are_found_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "train")
    write_image(tmp_path / "train" / "gt" / "002.png", picture(0, height=13))
    monkeypatch.setattr(pairs, "read_image", lambda path: pytest.fail("decoded"))
    line = error_message(tmp_path)
    assert "blur/002.png has 16x12" in line
    assert "16x13" in line


def test_validation_images_too_small_for_ssim(tmp_path: Path) -> None:
    for split, side in (("train", 12), ("val", 6)):
        for kind in ("blur", "gt"):
            write_image(tmp_path / split / kind / "a.png", picture(0, side, side))
    assert len(FolderPairs(tmp_path, "train", crop=12)) == 1
    with pytest.raises(UserError, match=r"val/blur/a\.png: 6x6 pixels are too small for SSIM"):
        FolderPairs(tmp_path, "val")


def test_images_smaller_than_the_crop(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    FolderPairs(tmp_path, crop=12)
    line = error_message(tmp_path, crop=13)
    assert "000.png: 16x12" in line
    assert "data.crop=12 or less" in line


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_an_unreadable_file_is_named(tmp_path: Path, damage: str) -> None:
    fill(tmp_path / "train")
    bad = tmp_path / "train" / "gt" / "003.png"
    data = bad.read_bytes()
    bad.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "text": b"hello"}[damage])
    assert str(bad) in error_message(tmp_path)


def test_nan_in_a_float_tiff_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    values = np.full((12, 16, 3), 0.5, np.float32)
    values[3, 4, 1] = np.nan
    (tmp_path / "train" / "gt" / "001.png").unlink()
    tifffile.imwrite(tmp_path / "train" / "gt" / "001.tif", values, photometric="rgb")
    assert re.search(r"gt/001\.tif.*NaN", error_message(tmp_path))


def count_decoding(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    read: list[Path] = []
    real = pairs.read_image
    monkeypatch.setattr(pairs, "read_image", lambda path: (read.append(path), real(path))[1])
    return read


def test_every_file_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "train")
    read = count_decoding(monkeypatch)
    steps: list[tuple[int, int]] = []
    FolderPairs(tmp_path, progress=lambda done, total: steps.append((done, total)))
    assert len(read) == 8
    assert steps == [(i + 1, 8) for i in range(8)]
    FolderPairs(tmp_path)
    assert len(read) == 8
    changed = tmp_path / "train" / "blur" / "002.png"
    os.utime(changed, ns=(0, 12345))
    FolderPairs(tmp_path)
    assert read[8:] == [changed]


def test_failures_are_not_cached(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    bad = tmp_path / "train" / "gt" / "000.png"
    bad.write_bytes(bad.read_bytes()[:-20])
    assert error_message(tmp_path) == error_message(tmp_path)
