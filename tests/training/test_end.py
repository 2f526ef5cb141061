"""What a training says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdrl_lightning.training.end import best_and_last, results

FIGURES = {"val/gt/psnr": 20.126, "val/gt/gain": -0.5, "val/deformed_gt/psnr": 26.0, "val/deformed_gt/gain": 0.25}
NO_GAIN = {"val/gt/psnr": 20.0, "val/gt/gain": -0.001}


def test_best_and_last_that_disagree_are_said() -> None:
    line = "best.ckpt and last.ckpt disagree: val/gt/psnr is 26.40 in epoch 3, 26.10 in epoch 9"
    assert best_and_last("val/gt/psnr", 26.4, 3, 26.1, 9) == line
    assert best_and_last("val/gt/psnr", 26.4, 9, 26.4, 9) is None
    assert best_and_last("val/gt/psnr", 26.4, 3, float("nan"), 9) is None
    assert best_and_last("val/gt/psnr", 26.401, 3, 26.399, 9) is None  # shown, they would be equal


def test_figures_paths_and_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "outputs" / "my run"
    (run / "checkpoints").mkdir(parents=True)
    lines = results(run, FIGURES)
    assert lines == [
        "against the sharp image warped onto the output: 26.00 dB, +0.25 over the untouched input",
        "against the sharp image: 20.13 dB, -0.50 over the untouched input",
        "results: outputs/my run (metrics.csv, summary.json, panels, checkpoints)",
    ]
    assert results(run, NO_GAIN)[0] == "against the sharp image: 20.00 dB, +0.00 over the untouched input"
    (run / "checkpoints" / "last.ckpt").touch()
    assert "'ckpt_path=outputs/my run/checkpoints/last.ckpt' split=val" in results(run, {})[1]
    (run / "checkpoints" / "best.ckpt").touch()
    assert results(run, {})[2].endswith(
        "'ckpt_path=outputs/my run/checkpoints/best.ckpt' input=photo.jpg output=restored"
    )
