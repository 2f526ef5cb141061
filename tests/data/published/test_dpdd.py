"""DPDD in its three layouts: correct partners, exact values, and a one-line error for each problem."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

import trees
from data.published import opening
from jdrl_lightning import Pair, build
from jdrl_lightning.data.published import dpdd
from jdrl_lightning.types import to_float

CENTRE = {side: trees.AUTHORS[side] for side in ("blurry", "sharp")}


def create(root: Path, split: str = "train", **settings: Any) -> Any:
    return opening.create("dpdd", root, split, **settings)


def error_message(root: Path, split: str = "train", **settings: Any) -> str:
    return opening.error_message("dpdd", root, split, **settings)


def is_scene(pair: Pair, scene: int, crop: int = 0) -> bool:
    """Whether all images of the pair are those of the scene, exact to 16 bits."""
    for side, image in {"blurry": pair.blurry, "sharp": pair.sharp, **pair.extras}.items():
        assert image.dtype == torch.uint16
        expected = torch.arange(3)[:, None, None] + trees.value(scene, side, crop)
        if not torch.equal(image.to(torch.int64), expected.expand(image.shape)):
            return False
    return True


@pytest.mark.parametrize("inner", ["", "DPDD", "dd_dp_dataset_canon"])
@pytest.mark.parametrize("folders", [trees.AUTHORS, trees.RESTORMER])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_partners_are_found_in_each_layout(tmp_path: Path, split: str, folders: dict[str, str], inner: str) -> None:
    trees.dpdd(tmp_path / inner, split, folders)
    found = create(tmp_path, split, views=True)
    assert len(found) == len(trees.SHOTS)
    assert found.has_sharp
    assert found[1].extras.keys() == {"left", "right"}
    assert all(is_scene(found[scene], scene) for scene in range(len(trees.SHOTS)))
    assert [found[i].name for i in (0, 4)] == ["1P0A0859", "1P0A1000"]


def test_float_conversion_keeps_16_bits(tmp_path: Path) -> None:
    found = create(trees.dpdd(tmp_path))
    exact = to_float(found[5].blurry)[0, 0, 0].double() * 65535
    assert abs(float(exact) - trees.value(5, "blurry")) < 0.01
    assert trees.value(5, "blurry") % 257 != 0


def test_views_are_read_only_on_request(tmp_path: Path) -> None:
    root = trees.dpdd(tmp_path, folders=CENTRE)
    assert create(root)[0].extras == {}
    assert f"{root / 'train_l' / 'source'}: no such folder; expected <root>/" in error_message(root, views=True)


@pytest.mark.parametrize("names", [{"blurry": "_C", "left": "_L", "right": "_R"}, {"sharp": "_C"}])
@pytest.mark.parametrize("digits", [4, 1])
def test_files_are_ordered_by_number(tmp_path: Path, names: dict[str, str], digits: int) -> None:
    """Alphabetically, 1000 comes before 998 if there are no leading zeros, and "999_L" after "999"."""
    found = create(trees.dpdd(tmp_path, names=names, digits=digits), views=True)
    assert all(is_scene(found[scene], scene) for scene in range(len(trees.SHOTS)))


def test_crops_are_for_training(tmp_path: Path) -> None:
    for split in ("train", "val"):
        trees.dpdd(tmp_path, split, trees.RESTORMER)
        trees.dpdd(tmp_path, split, trees.CROPS, crops=12)
    found = create(tmp_path, views=True)
    assert len(found) == 12 * len(trees.SHOTS)
    assert [found[i].name for i in (1, 2, 10, 12)] == ["1P0A0859-1", "1P0A0859-2", "1P0A0859-10", "1P0A0861-0"]
    assert all(is_scene(found[i], i // 12, i % 12) for i in range(len(found)))
    assert len(create(tmp_path, "val")) == len(trees.SHOTS)


def test_validation_falls_back_to_crops(tmp_path: Path) -> None:
    trees.dpdd(tmp_path, "val", trees.CROPS, crops=2)
    assert len(create(tmp_path, "val")) == 2 * len(trees.SHOTS)


def test_a_crop_without_partner_is_named_even_if_the_counts_are_equal(tmp_path: Path) -> None:
    root = trees.dpdd(tmp_path, folders=trees.CROPS, crops=12)
    (root / "train/inputC_crops/1P0A0871-3.png").unlink()
    (root / "train/target_crops/1P0A0873-5.png").unlink()
    line = error_message(root)
    assert str(root / "train/inputC_crops/1P0A0871-5.png") in line
    assert f"no crop 5 in {root / 'train/target_crops'}" in line


@pytest.mark.parametrize(
    ("missing", "unmatched"),
    [
        ("train_c/target/1P0A0873.png", "train_c/source/1P0A0871.png"),
        ("train_c/source/1P0A0871.png", "train_c/target/1P0A0873.png"),
        ("train_c/target/1P0A1011.png", "train_c/source/1P0A1010.png"),
        ("train_c/source/1P0A1010.png", "train_c/target/1P0A1011.png"),
    ],
)
def test_a_missing_partner(tmp_path: Path, missing: str, unmatched: str) -> None:
    root = trees.dpdd(tmp_path, folders=CENTRE)
    (root / missing).unlink()
    line = error_message(root)
    assert line.startswith(f"{root / unmatched}: no partner in {(root / missing).parent}")
    assert "6 photographs here, 5 there" in line


def test_files_missing_on_both_sides_are_not_paired(tmp_path: Path) -> None:
    root = trees.dpdd(tmp_path, folders=CENTRE)
    (root / "train_c/source/1P0A0871.png").unlink()
    (root / "train_c/target/1P0A0997.png").unlink()
    line = error_message(root)
    assert line.startswith(f"{root / 'train_c/target/1P0A0873.png'}: no partner in")
    assert "5 photographs here, 5 there" in line


def test_a_missing_view(tmp_path: Path) -> None:
    root = trees.dpdd(tmp_path)
    (root / "train_r/source/1P0A0871_R.png").unlink()
    assert len(create(root)) == 6
    assert f"{root / 'train_c/source/1P0A0871.png'}: no partner" in error_message(root, views=True)


def test_two_files_of_one_photograph(tmp_path: Path) -> None:
    root = trees.dpdd(tmp_path, folders=CENTRE)
    trees.picture(root / "train_c/source/1P0A0859_C.png", 5, 16)
    assert "1P0A0859_C.png: 1P0A0859.png has the same name" in error_message(root)


def test_portraits(tmp_path: Path) -> None:
    root = trees.dpdd(tmp_path, upright=(1, 3))
    found = create(root, views=True)
    assert [tuple(found[i].blurry.shape[1:]) for i in (0, 1)] == [(12, 16), (16, 12)]
    assert is_scene(found[1], 1)
    landscape = trees.picture(root / "train_c/target/1P0A0862.png", 5, 16)
    line = error_message(root)
    assert "1P0A0861.png has 12x16 pixels" in line
    assert f"{landscape} 16x12" in line
    trees.picture(landscape, 5, 16, 16, 12)
    trees.picture(root / "train_l/source/1P0A0861_L.png", 5, 16)
    assert "1P0A0861_L.png 16x12" in error_message(root, views=True)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    root = trees.dpdd(tmp_path)
    for damaged, settings in (("train_c/target/1P0A0873.png", {}), ("train_l/source/1P0A0859_L.png", {"views": True})):
        whole = (root / damaged).read_bytes()
        (root / damaged).write_bytes(whole[:-30])
        assert f"{root / damaged}: cannot be read" in error_message(root, **settings)
        (root / damaged).write_bytes(whole)


def test_images_smaller_than_the_crop(tmp_path: Path) -> None:
    root = trees.dpdd(tmp_path)
    trees.dpdd(tmp_path, "val")
    assert "set data.crop=12 or less" in error_message(root, crop=13)
    assert len(create(root, "val", crop=13)) == 6


def test_another_layout(tmp_path: Path) -> None:
    (tmp_path / "train" / "blur").mkdir(parents=True)
    for root in (tmp_path, tmp_path / "nowhere"):
        line = error_message(root)
        assert str(root) in line
        assert "expected <root>/{train,val,test}_c/{source,target}/*.png" in line
    assert "split=trian: must be train, val or test" in error_message(tmp_path, split="trian")
    assert "data.store='box'" in error_message(tmp_path, store="box")


def test_another_count_than_the_published_one_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trees.dpdd(tmp_path, folders=trees.CROPS, crops=2)
    assert dpdd.SCENES == {"train": 350, "val": 74, "test": 76}
    create(root)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{root / 'train/inputC_crops'}: 6 scenes, but the published split has 350" in record.getMessage()
    monkeypatch.setitem(dpdd.SCENES, "train", 6)
    create(root)
    assert len(caplog.records) == 1


def test_batches_carry_the_views(tmp_path: Path) -> None:
    settings = {"name": "dpdd", "root": str(trees.dpdd(tmp_path)), "views": True, "crop": 8, "batch_size": 3}
    loader = build.datamodule({"data": settings, "seed": 0}).train_dataloader()
    batch = next(iter(loader))
    assert {key: (tuple(image.shape), image.dtype) for key, image in batch.extras.items()} == {
        "left": ((3, 3, 8, 8), torch.uint16),
        "right": ((3, 3, 8, 8), torch.uint16),
    }
