"""Creating the data sets by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning import data
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import write_image
from jdrl_lightning.types import to_float

SPLITS = ("train", "val", "test")


def create(name: str, split: str, **settings: Any) -> Any:
    return data.create(name, **{"split": split, "seed": 0, "crop": 48, **settings})


def mean_motion(pairs: Any) -> float:
    return sum(float(pairs[i].extras["flow"].norm(dim=0).mean()) for i in range(len(pairs))) / len(pairs)


@pytest.fixture(scope="module")
def photographs(photo: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs of 128×120 px."""
    root = tmp_path_factory.mktemp("photographs")
    for number in range(4):
        top, left = 100 + 128 * (number % 2), 100 + 120 * (number // 2)
        write_image(root / f"{number}.png", photo[:, top : top + 128, left : left + 120].contiguous())
    return root


@pytest.mark.parametrize("split", SPLITS)
def test_photos_from_a_folder(photographs: Path, split: str) -> None:
    frames = {"train": 3, "val": 1, "test": 2}
    pairs = create("photos", split, root=photographs, frame=56, frames_per_photo=frames)
    assert len(pairs) == frames[split] * {"train": 2, "val": 1, "test": 1}[split]
    assert pairs[0].blurry.shape == (3, 56, 56)
    assert set(pairs[0].extras) == {"aligned", "flow", "coc"}


def test_photographs_too_small_for_the_crop(photographs: Path) -> None:
    with pytest.raises(UserError, match=r"120x128 pixels, but data\.crop needs 160 per side"):
        create("photos", "train", root=photographs, crop=80)


def test_shipped_photos() -> None:
    pairs = create("photos", "val", frame=64)
    assert [pairs[i].name for i in range(len(pairs))] == ["grass_0", "rocket_0"]
    assert max(pairs[1].blurry.shape) == 64


def test_leaves() -> None:
    pairs = create("leaves", "val", frame=64, misalignment="none")
    assert len(pairs) == 4
    assert mean_motion(pairs) == 0


def test_dead_leaves_join_the_photographs_for_training_only(photographs: Path) -> None:
    few, more = (create("photos", "train", root=photographs, frame=56, leaves=n) for n in (0, 3))
    assert [more[i].name for i in range(2, 5)] == ["leaves_0_0", "leaves_1_0", "leaves_2_0"]
    assert torch.equal(few[0].extras["flow"], more[0].extras["flow"])  # only its cut-outs may be other textures
    assert len(create("photos", "val", root=photographs, frame=56, leaves=3)) == 1


def test_of_several_cameras_each_frame_is_taken_with_one(photographs: Path) -> None:
    settings = {"root": photographs, "frame": 32, "frames_per_photo": {"val": 8}}
    both, default, varied = (
        create("photos", "val", camera=camera, **settings) for camera in (["default", "varied"], "default", "varied")
    )
    taken = [[torch.equal(both[i].blurry, other[i].blurry) for other in (default, varied)] for i in range(len(both))]
    assert {tuple(choice) for choice in taken} == {(True, False), (False, True)}
    with pytest.raises(UserError, match=r"data\.camera='vairied'"):
        create("photos", "val", camera=["default", "vairied"], **settings)


def test_amplitude_scales_the_motion(photographs: Path) -> None:
    once, half = (create("photos", "test", root=photographs, frame=56, amplitude=a) for a in (1.0, 0.5))
    assert mean_motion(half) == pytest.approx(mean_motion(once) / 2, rel=1e-4)
    assert mean_motion(once) > 1


@pytest.mark.parametrize(("misalignment", "bound_px"), [("random", 0.3), ("nonrigid", 1.6)])
def test_registration_leaves_little_motion(misalignment: str, bound_px: float) -> None:
    """One affine map undoes zoom and shift, but not parallax and distortion."""
    settings = {"frame": 192, "frames_per_photo": {"val": 2}, "misalignment": misalignment}
    plain, registered = (create("photos", "val", register=mode, **settings) for mode in ("none", "affine"))
    assert mean_motion(plain) > 2
    assert mean_motion(registered) < bound_px
    for before, after in ((plain[i], registered[i]) for i in range(len(plain))):
        aligned = to_float(before.extras["aligned"])[:, 12:-12, 12:-12]
        errors = [(to_float(p.sharp)[:, 12:-12, 12:-12] - aligned).square().mean() for p in (before, after)]
        assert errors[1] < errors[0]
        assert torch.equal(before.blurry, after.blurry)


def test_folder(pairs_folder: Path) -> None:
    pairs = create("folder", "val", root=pairs_folder, crop=32)
    assert len(pairs) == 2
    assert pairs[0].blurry.shape == (3, 48, 40)
    registered = create("folder", "val", root=pairs_folder, crop=32, register="affine")
    assert not torch.equal(registered[0].sharp, pairs[0].sharp)


def test_folder_with_a_list_checks_its_test_pairs_before_training(pairs_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    names = sorted(path.name for path in (pairs_folder / "train" / "blur").iterdir())
    rows = [f"{pairs_folder}/train/blur/{name},{pairs_folder}/train/gt/{name},train" for name in names]
    file.write_text("\n".join(["blurry,sharp,split", *rows]))
    assert len(create("folder", "train", root=pairs_folder, crop=32, pairs=file)) == 8
    (tmp_path / "empty.png").touch()
    file.write_text("\n".join(["blurry,sharp,split", *rows, f"empty.png,{pairs_folder}/test/gt/10.png,test"]))
    with pytest.raises(UserError, match=r"empty\.png: "):
        create("folder", "train", root=pairs_folder, crop=32, pairs=file)


@pytest.mark.parametrize("name", ["photos", "leaves"])
def test_wrong_settings(name: str) -> None:
    with pytest.raises(UserError, match=r"data\.misalignment='wild'"):
        create(name, "val", misalignment="wild")
    for value in (1, [1]):
        with pytest.raises(UserError, match=rf"data set '{name}': {name}\(\) got an unexpected .*'speed'"):
            create(name, "val", speed=value)


def test_only_photos_have_a_root(photographs: Path) -> None:
    with pytest.raises(UserError, match=r"data set 'leaves': leaves\(\) got an unexpected .*'root'"):
        create("leaves", "val", root=photographs)


def test_equal_sets_are_rendered_once(photographs: Path) -> None:
    first, again = (create("photos", "val", root=root, frame=24, crop=None) for root in (photographs, str(photographs)))
    assert first is again
    assert create("photos", "val", root=photographs, frame=24, crop=None, gain=0.2) is not first


def test_unknown_registration(photographs: Path) -> None:
    with pytest.raises(UserError, match=r"data\.register='rigid'"):
        create("photos", "test", root=photographs, frame=24, crop=None, register="rigid")


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="unknown data set 'dpd'; known: photos, leaves, folder"):
        create("dpd", "train")
