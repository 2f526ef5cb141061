"""Trainings that differ only by rounding, on a small scale."""

from __future__ import annotations

import logging
import math
import sys
from pathlib import Path

import pytest
import torch

from jdrl_lightning import build
from jdrl_lightning.io.image import write_image
from jdrl_lightning.reblur import custom_op

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = (
    "objective=jdrl_quick", "objective.warmup_epochs=0", "objective.reblur.width=4", "objective.reblur.levels=3",
    "backbone.width=4", "backbone.weights=null", "data.frame=64", "data.crop=32", "data.repeat=1", "data.batch_size=1",
    "data.frames_per_photo={train: 1, val: 1, test: 1}", "trainer.max_epochs=8", "trainer.log_every_n_steps=1",
    "optim.optimizer.lr=0.03",  # rounding that a gentler training leaves below the last digit
)  # fmt: skip


def test_draws_and_forms_end_as_near_as_rounding_leaves_them(
    monkeypatch: pytest.MonkeyPatch, photo: torch.Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import rounding

    for number in range(3):
        write_image(tmp_path / f"{number}.png", photo[:, 100:228, 100 * number : 100 * number + 128].contiguous())
    monkeypatch.setitem(rounding.METHODS, "jdrl", (*TINY, f"data.root={tmp_path}"))
    folder = tmp_path / "figures"
    monkeypatch.setattr(sys, "argv", ["rounding.py", "--draws", "2", "--folder", str(folder)])
    before = (build.module, custom_op._fast_kernel)
    log = logging.getLogger("jdrl_lightning")
    level = log.level
    try:
        rounding.main()
        assert (build.module, custom_op._fast_kernel) == before
        figures = {file.stem: float(file.read_text()) for file in folder.iterdir()}
        assert figures.keys() == {f"seed0_{form}_{draw}" for form in ("native", "reference") for draw in (0, 1)}
        assert len(set(figures.values())) > 1
        assert max(figures.values()) - min(figures.values()) < 0.01
        assert math.isfinite(sum(figures.values()))
        assert "dB apart, 95 % interval" in capsys.readouterr().out
        monkeypatch.setattr(rounding, "trained", None)  # a second run trains nothing
        rounding.main()
    finally:
        log.setLevel(level)
