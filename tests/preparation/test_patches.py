"""Patches: their positions, which ones are kept, and that written files are read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.errors import UserError
from jdrl_lightning.preparation.patches import PRESETS, Rule, corners, cut, kept, sharpness, write_patches
from jdrl_lightning.types import Pair

cv2 = pytest.importorskip("cv2")


class Listed(Dataset[Pair]):
    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        return self.pairs[index]


def textured(seed: int, height: int, width: int, dtype: torch.dtype = torch.uint16) -> torch.Tensor:
    """Noise of several scales with spatially varying contrast, so that patches differ in sharpness."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for coarse in (1, 2, 5, 16):
        noise = rng.standard_normal((height // coarse + 2, width // coarse + 2, 3)).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    contrast = cv2.resize(rng.random((5, 7)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    levels = 255 if dtype == torch.uint8 else 65535
    picture = np.clip(0.5 + 0.12 * picture * contrast[..., None], 0, 1) * levels
    return torch.from_numpy(picture.round().transpose(2, 0, 1).astype(np.int32)).to(dtype)


def pair(seed: int, height: int, width: int, name: str = "a", dtype: torch.dtype = torch.uint16) -> Pair:
    return Pair(textured(2 * seed, height, width, dtype), textured(2 * seed + 1, height, width, dtype), name, {})


def published_energy(patches: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """DPDNet's sharpness energy of grey patches, by OpenCV."""
    energy = np.ones(len(patches))
    for size in (3, 7, 11, 15):
        sums = []
        for patch in patches:
            dx, dy = (cv2.Sobel(patch, cv2.CV_64F, *order, ksize=size) for order in ((1, 0), (0, 1)))
            sums.append(np.sqrt(dx**2 + dy**2).sum())
        energy *= (np.array(sums) - min(sums)) / (max(sums) - min(sums))
    return energy


def test_dpdnet_s_rule_keeps_20_of_28() -> None:
    given = pair(0, 1120, 1680)
    lefts, tops = (0, 204, 408, 612, 816, 1020, 1168), (0, 204, 408, 608)
    origins = [(top, left) for top in tops for left in lefts]
    assert corners(1120, 1680, PRESETS["dpdnet"]) == origins
    assert len(origins) == 28

    rgb = (given.sharp.permute(1, 2, 0).numpy() / 65535).astype(np.float32)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    energy = published_energy([grey[top : top + 512, left : left + 512] for top, left in origins])
    expected = sorted(np.argsort(energy)[28 - 20 :].tolist())
    order = np.sort(energy)
    assert order[8] - order[7] > 1e-4, "rounding must not decide the ranking"

    patches = cut(given, PRESETS["dpdnet"])
    assert [number for number, _ in patches] == expected
    assert expected != list(range(8, 28))
    for number, patch in patches:
        top, left = origins[number]
        assert torch.equal(patch.blurry, given.blurry[:, top : top + 512, left : left + 512])
        assert torch.equal(patch.sharp, given.sharp[:, top : top + 512, left : left + 512])


def test_the_energy_matches_opencv() -> None:
    patches = torch.stack([textured(seed, 40, 33).float() / 65535 for seed in range(6)])
    grey = [cv2.cvtColor(patch.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY) for patch in patches]
    np.testing.assert_allclose(sharpness(patches).numpy(), published_energy(grey), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("preset", "height", "width", "candidates", "left"),
    [("dpdnet", 1120, 1680, 28, 20), ("sdd_half", 1080, 2048, 60, 42), ("sdd_native", 2160, 4096, 60, 42)],
)
def test_the_presets_give_the_published_numbers(
    preset: str, height: int, width: int, candidates: int, left: int
) -> None:
    rule = PRESETS[preset]
    assert rule.patch == 512
    assert len(corners(height, width, rule)) == candidates
    assert len(kept(torch.rand(candidates), rule.discard)) == left


def test_validation_is_cut_as_published() -> None:
    assert len(corners(1120, 1680, Rule(512, 0.01, 0.0))) == 12


def test_every_pixel_is_covered_and_patches_are_unique() -> None:
    for patch, overlap in ((16, 0.6), (16, 0.5), (20, 0.0), (17, 0.9)):
        for length in range(patch, 6 * patch):
            starts = [left for _, left in corners(patch, length, Rule(patch, overlap, 0.0))]
            assert len(set(starts)) == len(starts)
            assert set().union(*(range(start, start + patch) for start in starts)) == set(range(length))
    # Fits exactly: 512 + 2 strides of 204.
    assert [left for _, left in corners(512, 920, Rule())] == [0, 204, 408]


def test_the_least_sharp_are_dropped_in_whole_numbers() -> None:
    energy = torch.tensor([0.3, 0.0, 0.9, 0.1, 0.5, 0.2, 0.8, 0.7, 0.6, 0.4])
    assert kept(energy, 0.3) == [0, 2, 4, 6, 7, 8, 9]
    assert len(kept(torch.rand(100), 0.29)) == 71
    assert kept(energy, 0.0) == list(range(10))


def test_an_image_without_texture_is_cut_too() -> None:
    flat = Pair(
        torch.full((3, 40, 60), 7, dtype=torch.uint8), torch.full((3, 40, 60), 9, dtype=torch.uint8), "flat", {}
    )
    assert len(cut(flat, Rule(20, 0.5, 0.3))) == 11  # of 3 × 5


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_written_patches_are_a_folder_of_pairs(dtype: torch.dtype, tmp_path: Path) -> None:
    pairs = [pair(0, 40, 60, "one", dtype), pair(1, 50, 30, "two", dtype)]
    rule = Rule(20, 0.5, 0.3)
    steps: list[tuple[int, int]] = []
    count = write_patches(Listed(pairs), tmp_path / "train", rule, progress=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    found = FolderPairs(tmp_path, "train")
    expected = {f"{one.name}_{n:0{digits}}": patch for one, digits in zip(pairs, (2, 1), strict=True)
                for n, patch in cut(one, rule)}  # fmt: skip
    assert count == len(found) == len(expected) == (15 - 4) + (8 - 2)
    for patch in (found[index] for index in range(len(found))):
        assert torch.equal(patch.blurry, expected[str(patch.name)].blurry)
        assert torch.equal(patch.sharp, expected[str(patch.name)].sharp)
        assert patch.blurry.dtype == dtype


def test_overwrite_is_required_and_removes_stale_images(tmp_path: Path) -> None:
    pairs = Listed([pair(0, 40, 60)])
    write_patches(pairs, tmp_path, Rule(20, 0.5, 0.0))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    (tmp_path / "blur" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"a_00\.png: exists; .*overwrite=true"):
        write_patches(pairs, tmp_path, Rule(20, 0.0, 0.0))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == before
    assert write_patches(pairs, tmp_path, Rule(20, 0.0, 0.0), overwrite=True) == 6
    assert len(list(tmp_path.rglob("*.png"))) == 12
    assert (tmp_path / "blur" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule(64), r"a: 60x40 pixels are smaller than patch=64; lower patch"),
        (Rule(8), "patch=8: must be a whole number of at least 16 px"),
        (Rule(20, 1.0), r"overlap=1.0: must lie in \[0, 1\)"),
        (Rule(20, 0.5, -0.1), r"discard=-0.1: must lie in \[0, 1\)"),
    ],
)
def test_invalid_rules_are_refused(rule: Rule, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        write_patches(Listed([pair(0, 40, 60)]), tmp_path, rule)


def test_two_pairs_with_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two pairs have this name"):
        write_patches(Listed([pair(0, 40, 60), pair(1, 40, 60)]), tmp_path, Rule(20, 0.0, 0.0))
