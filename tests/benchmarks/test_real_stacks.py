"""Real stacks: what is measured, on rendered ones of known truth; and every row, of a step each, resumed."""

from __future__ import annotations

import importlib
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from torch import Tensor

from jdrl_lightning.io.image import write_image
from jdrl_lightning.preparation.stack import fuse_stack
from jdrl_lightning.types import to_float
from stacks import Rendered, rendered

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ZOOMS = (1.02, 1.0, 0.98)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    log = logging.getLogger("jdrl_lightning")
    level = log.level  # the script silences the log; later tests need it
    yield importlib.import_module("real_stacks")
    log.setLevel(level)


@pytest.fixture
def planes(photo: Tensor) -> Rendered:
    return rendered(photo, ZOOMS)


def test_the_frame_is_split_by_depth_and_the_truth_is_better_than_the_frame(
    script: ModuleType, planes: Rendered
) -> None:
    stack = fuse_stack(planes.frames, ["a", "b", "c"], 1)
    one = script.scene("a", to_float(planes.frames[0])[None], stack, 0)
    width = one.blurry.shape[-1]
    assert float(one.sharp[..., : width // 4].mean()) > 0.7  # the near plane
    assert float(one.blurred[..., -width // 4 :].mean()) > 0.7  # the far one
    assert float((one.sharp * one.blurred).sum()) == 0
    before, after = script.quality(one.blurry, one), script.quality(one.target, one)
    assert math.isinf(after.psnr_blurred)
    assert (after.detail_blurred, after.detail_sharp) == (1, 1)
    assert before.psnr_blurred < before.psnr_sharp - 6
    assert before.detail_blurred < 0.2 < 0.8 < before.detail_sharp < 1.3
    assert before.moved_px < 0.01


def test_a_figure_is_the_mean_of_the_seeds_of_each_frame_that_has_the_area(script: ModuleType) -> None:
    def line(row: str, seed: int, frame: str, psnr: float) -> object:
        return script.Line(row, seed, "s", frame, script.Quality(psnr, 30.0, 0.9, 0.1, 0.5, 1.0))

    lines = [line("jdrl", 0, "a", 20.0), line("jdrl", 1, "a", 22.0), line("jdrl", 0, "b", math.nan)]
    assert script.by_frame(lines, "jdrl", "s", "psnr_blurred") == {"a": 21.0}
    assert "input +2.00 (+2.00 to +2.00)" in script.differences([*lines, line("input", 0, "a", 19.0)], "s")


def test_every_row_is_trained_once_and_measured(
    script: ModuleType,
    planes: Rendered,
    photo: Tensor,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(script, "CROP", 32)
    monkeypatch.setattr(script, "BATCH", 1)
    monkeypatch.setattr(script, "ROWS", {row: script.ROWS[row] for row in ("shipped", "registered", "jdrl")})
    for name, frames in {"one": planes.frames, "two": rendered(photo.flip(-1), ZOOMS).frames}.items():
        for number, frame in enumerate(frames):
            write_image(tmp_path / name / f"frame_{number}.png", frame)
    one, two, out = (tmp_path / name for name in ("one", "two", "out"))
    words = [*map(str, (one, two)), "--steps", "1", "--size", "112", "--folder", str(out)]
    script.main(words)
    first = capsys.readouterr().out
    assert "on two | PSNR where blurred" in first
    assert all(first.count(f"\n| {row} |") == 2 for row in script.ROWS)
    assert (out / "restored" / "jdrl_seed0" / "two" / "frame_0.png").is_file()
    script.main(words)
    assert capsys.readouterr().out in first  # the tables again, and nothing trained
