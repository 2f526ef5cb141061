"""From folders of frames to pairs that a training reads."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image

from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.data.stack_pairs import StackPairs
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.warp import invert, warp
from jdrl_lightning.io.image import header, read_image, write_image
from jdrl_lightning.preparation.stack_files import prepare_stacks
from jdrl_lightning.types import to_float
from stacks import difference, inside, rendered

ZOOMS = (0.98, 1.0, 1.02)


def write(folder: Path, photo: torch.Tensor, depth: int = 8, exposures: tuple[float, ...] | None = None) -> Path:
    for number, frame in enumerate(rendered(photo, ZOOMS, exposures, depth).frames):
        write_image(folder / f"{number}.png", frame)
    return folder


def test_several_stacks_side_by_side_are_split_by_stack(photo: torch.Tensor, tmp_path: Path) -> None:
    for name, moved in (("a", 0), ("b", 40), ("c", 80)):
        write(tmp_path / "in" / name, photo.roll(moved, 2))
    done = []
    text = prepare_stacks(tmp_path / "in", tmp_path / "out", show=lambda count, total: done.append((count, total)))
    assert text.startswith("9 pairs of 3 stacks, 1 held out for validation: ")
    assert done == [(count, 9) for count in range(1, 10)]
    with (tmp_path / "out" / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    assert {row["split"] for row in rows} == {"train", "val"}
    for name in "abc":
        of_stack = [row for row in rows if row["sharp"] == f"{name}/sharp.png"]
        assert [row["blurry"] for row in of_stack] == [f"{name}/frames/{number}.png" for number in range(3)]
        assert len({row["split"] for row in of_stack}) == 1
    with Image.open(tmp_path / "out" / "a" / "depth.png") as depth, Image.open(tmp_path / "in/a/0.png") as frame:
        assert depth.mode == "I;16"
        assert depth.size == frame.size
    report = (tmp_path / "out" / "report.html").read_text()
    assert report.count("<section>") == 3
    assert [len(FolderPairs(tmp_path / "out", split, pairs="pairs.csv")) for split in ("train", "val")] == [6, 3]
    with pytest.raises(UserError, match=r"pairs\.csv: exists; give another output=… or overwrite=true"):
        prepare_stacks(tmp_path / "in", tmp_path / "out")
    prepare_stacks(tmp_path / "in" / "a", tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "pairs.csv").read_text().count("\n") == 4


def test_sixteen_bits_stay_and_exposures_are_matched(photo: torch.Tensor, tmp_path: Path) -> None:
    write(tmp_path / "in", photo, 16, (0.8, 1.0, 1.0))
    text = prepare_stacks(tmp_path / "in", tmp_path / "out")
    assert text.endswith("; training needs some, so add a stack")
    for name in ("sharp", "frames/0", "frames/1"):
        assert header(tmp_path / "out" / "in" / f"{name}.png").depth == 16
    given, written = (read_image(tmp_path / folder / "0.png") for folder in ("in", "out/in/frames"))
    assert (written.float() / given.float().clamp_min(1)).median() == pytest.approx(1.25, abs=0.005)
    for number in (1, 2):  # of equal exposure: not a bit changes
        assert torch.equal(*(read_image(tmp_path / f / f"{number}.png") for f in ("in", "out/in/frames")))
    levels = read_image(tmp_path / "out" / "in" / "sharp.png").to(torch.int32)
    assert (levels % 257).unique().numel() > 200  # no 8 bits in disguise


def test_registered_pictures_lie_on_their_frames(photo: torch.Tensor, tmp_path: Path) -> None:
    write(tmp_path / "in", photo)
    prepare_stacks(tmp_path / "in", tmp_path / "out", register="flow")
    truth = rendered(photo, ZOOMS)
    pairs = StackPairs(tmp_path / "out", "train")
    for number, flow in enumerate(truth.flows):
        pair = pairs[number].to_float()
        on_frame = warp(truth.sharp, invert(flow))
        assert difference(pair.sharp[None], on_frame) < 0.5 * difference(pair.blurry[None], on_frame)
        assert inside(pair.extras["valid"]).all()
        shown = warp(torch.ones_like(truth.depth), invert(flow), padding="zeros")
        assert not pair.extras["valid"][shown[0] < 0.5].any()
    assert to_float(read_image(tmp_path / "out" / "in" / "valid.png")).unique().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"register": "affine"}, "register='affine' is not one of none, flow"),
        ({"output": "in/out"}, "output=in/out and input=in must not contain each other; give a separate folder"),
        ({"reference": "9"}, "in: no frame '9'; set reference to middle, first, last or a file's name"),
    ],
)
def test_each_mistake_is_one_line(
    photo: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in", photo)
    with pytest.raises(UserError) as raised:
        prepare_stacks(**({"input": "in", "output": "out"} | settings))  # type: ignore[arg-type]
    assert str(raised.value) == line
