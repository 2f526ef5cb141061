"""The README's first picture can be drawn again, with the gains that its caption quotes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from PIL import Image

from jdrl_lightning import metrics
from jdrl_lightning.io.image import write_image
from jdrl_lightning.types import to_float

SCRIPT = Path(__file__).parents[1] / "docs" / "images" / "draw_restored.py"


def test_it_draws_and_prints_the_gains(
    photo: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("draw_restored", SCRIPT)
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name, picture in {"a": photo, "b": photo.flip(-1)}.items():
        for split in ("train", "val", "test"):
            write_image(tmp_path / "photographs" / split / f"{name}.png", picture)
    monkeypatch.setattr(script, "INDICES", (0, 1))
    monkeypatch.setattr(script, "SIDE", 64)
    rows, restored = [], script.restored

    def spy(restorer: object, pair: object) -> object:
        rows.append((pair, restored(restorer, pair)))
        return rows[-1][1]

    monkeypatch.setattr(script, "restored", spy)
    arguments = ["--photographs", str(tmp_path / "photographs"), "--output", str(tmp_path / "restored.png")]
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *arguments])
    script.main()
    printed = [line for line in capsys.readouterr().out.splitlines() if line]  # the first ends a progress bar
    for line, (pair, (images, radius)) in zip(printed, rows, strict=True):
        before, after = (
            float(metrics.psnr(image[None], to_float(pair.extras["aligned"])[None]))
            for image in (to_float(pair.blurry), images[line])
        )
        assert line == f"restored, {after - before:+.1f} dB"
        assert radius.shape == (64, 64)
    with Image.open(tmp_path / "restored.png") as picture:
        assert picture.size == (4 * (64 + 6) + 70, 2 * (24 + 64 + 6))
