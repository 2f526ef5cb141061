"""Disjoint splits, the user's folder, dead leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from jdrl_lightning.data.synthetic import photographs
from jdrl_lightning.data.synthetic.photographs import LEAF_PX, dead_leaves, from_folder, from_scikit_image, leaf_radius
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import write_image

SPLITS = ("train", "val", "test")
DOCS = Path(__file__).parents[3] / "docs" / "photographs.md"


def small_folder(root: Path, count: int, height: int = 20, width: int = 24) -> Path:
    for number in range(count):
        write_image(root / f"photo{number}.png", torch.full((3, height, width), number, dtype=torch.uint8))
    return root


def shared(splits: list[list[photographs.Photograph]]) -> bool:
    keys = [p.key for photos in splits for p in photos]
    return len(set(keys)) < len(keys)


def test_no_shipped_photograph_is_in_two_splits() -> None:
    splits = [from_scikit_image(split) for split in SPLITS]
    assert all(splits)
    assert not shared(splits)


@pytest.mark.parametrize("split", SPLITS)
def test_shipped_photographs_are_rgb_in_range(split: str) -> None:
    for photo in from_scikit_image(split):
        pixels = photo.load()
        assert pixels.shape[0] == 3
        assert min(pixels.shape[1:]) >= 256
        assert pixels.dtype == torch.float32
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        assert pixels.std() > 0.01


def test_every_shipped_photograph_is_credited_under_its_split() -> None:
    rows = [[cell.strip(" `") for cell in line.split("|")[1:3]] for line in DOCS.read_text("utf-8").splitlines()]
    credited = {(row[0], row[1]) for row in rows if len(row) == 2 and row[1] in SPLITS}
    assert credited == {(name, split) for split, names in photographs.SHIPPED.items() for name in names}


@pytest.mark.parametrize("count", [3, 5, 17])
def test_each_split_of_a_folder_has_photographs(tmp_path: Path, count: int) -> None:
    splits = [from_folder(small_folder(tmp_path, count), split, 16) for split in SPLITS]
    assert all(splits)
    assert not shared(splits)
    assert sum(map(len, splits)) == count
    first = splits[0][0]
    assert float(first.load().mean()) == pytest.approx(int(first.name.removeprefix("photo")) / 255)


def test_splits_do_not_depend_on_the_folders_path(tmp_path: Path) -> None:
    here, there = (tmp_path / "a", tmp_path / "b")
    for folder in (here, there):
        small_folder(folder, 12)
    names = [[p.name for p in from_folder(folder, "test", 16)] for folder in (here, there)]
    assert names[0] == names[1]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: no such folder; set data\.root"):
        from_folder(tmp_path / "nowhere", "train", 16)


def test_too_few_photographs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 photographs, but at least three are needed"):
        from_folder(small_folder(tmp_path, 2), "train", 16)


def test_a_photograph_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"photo\d\.png: 24x20 pixels, but data\.crop needs 22 per side"):
        from_folder(small_folder(tmp_path, 3), "train", 22)


def test_a_large_photograph_is_downscaled_in_proportion(tmp_path: Path) -> None:
    large = small_folder(tmp_path, 3, 64, 2000)
    assert from_folder(large, "train", 16)[0].load().shape == (3, 51, 1600)


def test_leaves_are_a_function_of_seed_and_number() -> None:
    splits = [dead_leaves(split, 0, size=48) for split in SPLITS]
    assert not shared(splits)
    first, second = splits[0][:2]
    assert torch.equal(first.load(), dead_leaves("train", 0, size=48)[0].load())
    assert not torch.equal(first.load(), second.load())
    assert not torch.equal(first.load(), dead_leaves("train", 1, size=48)[0].load())


def test_leaves_have_edges_at_all_scales() -> None:
    image = dead_leaves("val", 0, size=200)[0].load()
    assert image.shape == (3, 200, 200)
    assert image.min() >= 0
    assert image.max() <= 1
    # A step within a leaf is its shade and the grain; many steps are neither, as are many pixels without one.
    steps = image.diff(dim=2).abs().amax(0)
    assert 0.02 < (steps > 0.15).float().mean() < 0.4


def test_leaf_radii_have_density_r_to_the_minus_three() -> None:
    shares = (np.arange(20_000) + 0.5) / 20_000
    radii = np.array([leaf_radius(share, LEAF_PX, 100.0) for share in shares])
    assert leaf_radius(0, LEAF_PX, 100) == pytest.approx(LEAF_PX)
    assert leaf_radius(1, LEAF_PX, 100) == pytest.approx(100)
    counts, edges = np.histogram(radii, np.geomspace(LEAF_PX, 100, 9))
    slope = np.polyfit(np.log((edges[1:] * edges[:-1]) ** 0.5), np.log(counts / np.diff(edges)), 1)[0]
    assert slope == pytest.approx(-3, abs=0.05)


def test_folders_of_the_three_splits_are_taken_as_they_are(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        (tmp_path / split).mkdir()
        small_folder(tmp_path / split, count)
    assert {split: len(from_folder(tmp_path, split, 16)) for split in SPLITS} == {"train": 4, "val": 2, "test": 3}


def test_a_split_whose_folder_is_missing_or_empty(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
    with pytest.raises(UserError, match=r"test: no such folder next to train and val"):
        from_folder(tmp_path, "test", 16)
    with pytest.raises(UserError, match=r"train: holds no photograph"):
        from_folder(tmp_path, "train", 16)
