"""Registering pairs of files: the true motion is undone, no pixel is extrapolated, and failures are reported."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning.data.pairing import PairPaths
from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.io.image import read_picture, write_image
from jdrl_lightning.metrics.misalignment import Motion
from jdrl_lightning.preparation.align import _problem, align, align_files, common_frame
from jdrl_lightning.types import Pair, to_uint

CPU = torch.device("cpu")
MARGIN = 40  # of the photograph, from which the displaced pictures take what comes into their frame


def motion(height: int, width: int, zoom: float, dx: float, dy: float, degrees: float) -> Tensor:
    """The flow of a zoom, a turn and a shift about the middle, ``(1, 2, H, W)``, px."""
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    c, s = zoom * math.cos(math.radians(degrees)) - 1, zoom * math.sin(math.radians(degrees))
    return torch.stack([c * x - s * y + dx, s * x + c * y + dy])[None]


def displaced(photo: Tensor, zoom: float, dx: float, dy: float, degrees: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Blurry, sharp as taken, and sharp in place, ``(3, 180, 220)`` in [0, 1]; the motion leads from sharp to in place.

    The camera saw the scene at ``q`` where it should be at ``p = motion(q)``.
    """
    scene = photo[None, :, 60:320, 120:420].float() / 255
    sharp = warp(scene, motion(260, 300, zoom, dx, dy, degrees), mode="bicubic").clamp(0, 1)
    blurry = smooth(scene, 2.0)
    return tuple(image[0, :, MARGIN:-MARGIN, MARGIN:-MARGIN] for image in (blurry, sharp, scene))  # type: ignore[return-value]


def deep(blurry: Tensor, sharp: Tensor, name: str = "a") -> Pair:
    return Pair(to_uint(blurry, 16), to_uint(sharp, 16), name, {})


def test_a_shifted_and_zoomed_pair_is_aligned(photo: Tensor) -> None:
    blurry, sharp, truth = displaced(photo, 1.02, 4.0, -3.0, 0.3)
    aligned, found = align(deep(blurry, sharp))
    assert aligned.blurry.dtype == aligned.sharp.dtype == torch.uint16
    assert aligned.blurry.shape == aligned.sharp.shape
    top, left, height, width = found.frame
    assert aligned.sharp.shape == (3, height, width)
    assert height * width > 0.85 * 180 * 220
    cut = (slice(None), slice(top, top + height), slice(left, left + width))
    assert torch.equal(aligned.blurry, to_uint(blurry, 16)[cut])
    error = (aligned.sharp.float() / 65535 - truth[cut]).abs().mean()
    given = (sharp[cut] - truth[cut]).abs().mean()
    assert error < 0.2 * given
    assert found.problem == ""
    assert found.before_px == pytest.approx(5, abs=0.5)
    assert found.after_px < 0.15
    # The sharp picture shows at q what should be at M q + t, so against the blurry one it is displaced by the inverse.
    assert found.zoom_percent == pytest.approx(100 * (1 / 1.02 - 1), abs=0.1)
    assert found.rotation_deg == pytest.approx(-0.3, abs=0.05)
    assert (found.dx_px, found.dy_px) == pytest.approx((-4 / 1.02, 3 / 1.02), abs=0.15)


def test_eight_bits_stay_eight_and_an_aligned_pair_stays_aligned(photo: Tensor) -> None:
    blurry, _, truth = displaced(photo, 1.0, 0.0, 0.0)
    given = Pair(to_uint(blurry), to_uint(truth), "a", {})
    aligned, found = align(given)
    assert aligned.sharp.dtype == torch.uint8
    assert found.problem == ""
    assert found.after_px < 0.1
    difference = (
        aligned.sharp.int()
        - given.sharp[:, found.frame.top :, found.frame.left :][:, : found.frame.height].int()[..., : found.frame.width]
    )
    assert difference.abs().float().mean() < 1


def test_the_common_frame_needs_no_extrapolation_and_is_nearly_the_largest() -> None:
    height, width = 26, 31
    y, x = np.mgrid[:height, :width]
    for zoom, dx, dy, degrees in itertools.product((0.97, 1.04), (-2.5, 3.0), (0.0, 2.0), (0.0, 4.0)):
        flow = motion(height, width, zoom, dx, dy, degrees)
        px, py = x + flow[0, 0].numpy(), y + flow[0, 1].numpy()
        # Catmull-Rom at p reads floor(p) − 1 to floor(p) + 2, the outermost with no weight at whole numbers.
        good = (px >= 1) & (px <= width - 2) & (py >= 1) & (py <= height - 2)
        count = np.pad(good.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        largest = 0
        for top, left in itertools.product(range(height), range(width)):
            area = count[top:, left:] - count[top : top + 1, left:] - count[top:, left : left + 1] + count[top, left]
            full = np.arange(height - top + 1)[:, None] * np.arange(width - left + 1)
            largest = max(largest, int(full[area == full].max()))
        frame = common_frame(flow)
        assert good[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width].all()
        assert frame.height * frame.width >= 0.95 * largest


def test_failures_are_reported(photo: Tensor) -> None:
    blurry, sharp, _ = displaced(photo, 1.0, 0.0, 0.0)
    for top, left in ((320, 20), (0, 0), (150, 250)):
        other_scene = photo[:, top : top + 180, left : left + 220].float() / 255
        assert align(deep(blurry, other_scene))[1].problem == "too far apart, or hardly the same scene"
    assert align(deep(blurry, torch.roll(sharp, 70, dims=2)))[1].problem
    flat = torch.full_like(sharp, 0.5)
    assert align(deep(flat, flat))[1].problem


def test_each_problem_has_its_name() -> None:
    def moved(px: float, far: bool = False) -> Motion:
        return Motion("a", torch.full((9,), float(px)), torch.zeros(9), 0.0, 0.0, 0.0, far, 1.0)

    for before, after, alike, found, problem in (
        (moved(5), moved(0.1), 0.99, True, ""),
        (moved(0.05), moved(0.1), 0.99, True, ""),  # in place before and after: no more than the estimate's error
        (moved(0.9), moved(0.9), 0.99, False, ""),
        (moved(5), moved(0.1), 0.6, True, "too far apart, or hardly the same scene"),
        (moved(5), moved(5.2), 0.99, True, "worse than before"),
        (moved(90), moved(60, far=True), 0.99, True, "still far apart"),
        (moved(5), moved(5), 0.99, False, "no motion fits better than none"),
    ):
        assert _problem(before, after, alike, found) == problem


@pytest.fixture
def tree(photo: Tensor, tmp_path: Path) -> Path:
    """Two pairs that can be registered, 16-bit PNG with TIFF and grey PNG, and one of two different scenes."""
    root = tmp_path / "pairs"
    for name, shift in (("one", 3.0), ("two", -2.0)):
        blurry, sharp, _ = displaced(photo, 1.01, shift, 1.0)
        pair = deep(blurry, sharp)
        if name == "one":
            write_image(root / "blur" / "one.png", pair.blurry, icc=b"a colour profile")
            write_image(root / "gt" / "one.tif", pair.sharp)
        else:
            write_image(root / "blur" / "two.png", pair.blurry, grey=True)
            write_image(root / "gt" / "two.png", pair.sharp)
    write_image(root / "blur" / "wrong.png", pair.blurry)
    write_image(root / "gt" / "wrong.png", photo[:, 320:500, 20:240])
    return root


def places(root: Path) -> list[PairPaths]:
    names = (("one", "tif"), ("two", "png"), ("wrong", "png"))
    return [PairPaths(name, root / "blur" / f"{name}.png", root / "gt" / f"{name}.{suffix}") for name, suffix in names]


def test_files_keep_their_kind_and_a_failure_is_left_out(tree: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    output = tmp_path / "aligned"
    found = align_files(places(tree), output, CPU, progress=lambda *step: steps.append(step))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert [bool(one.problem) for one in found] == [False, False, True]
    assert sorted(path.relative_to(output).as_posix() for path in output.rglob("*.*")) == [
        "blur/one.png", "blur/two.png", "gt/one.tif", "gt/two.png",
    ]  # fmt: skip
    first, second = (read_picture(output / "blur" / f"{name}.png") for name in ("one", "two"))
    assert (first.depth, first.icc, first.grey) == (16, b"a colour profile", False)
    assert (second.depth, second.grey) == (16, True)
    assert read_picture(output / "gt" / "one.tif").depth == 16
    pairs = FolderPairs(output.parent / "aligned", "train", val_fraction=0.5)  # sizes and partners are checked
    assert len(pairs) == 1
    for one in found[:2]:
        assert one.before_px > 1.5
        assert one.after_px < 0.2

    with pytest.raises(UserError, match=r"blur/one\.png: exists; .*overwrite=true"):
        align_files(places(tree), output, CPU)
    (output / "blur" / "stale.png").write_bytes((output / "blur" / "one.png").read_bytes())
    align_files(places(tree)[1:2], output, CPU, overwrite=True)
    assert [path.name for path in sorted(output.rglob("*.*"))] == ["two.png", "two.png"]


def test_files_without_partner_and_equal_names_are_refused_first(tree: Path, tmp_path: Path) -> None:
    one = places(tree)[0]
    with pytest.raises(UserError, match="1 duplicate names"):
        align_files([one, one._replace(blurry=tree / "blur" / "two.png")], tmp_path / "out", CPU)
    with pytest.raises(UserError, match=r"one\.png: has no sharp partner"):
        align_files([one._replace(sharp=None)], tmp_path / "out", CPU)
    assert not (tmp_path / "out").exists()
