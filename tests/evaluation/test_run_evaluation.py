"""One evaluation from a plain configuration: the data's own protocol and identity in its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.run_evaluation import evaluate


@pytest.fixture
def config(pairs_folder: Path) -> dict[str, Any]:
    """The blurry images themselves against the sharp ones."""
    keys = ("ckpt_path", "backbone", "restored", "dmenet_weights", "lpips_weights", "title", "output", "seed")
    protocol = {"split": "test", "crop": "none", "warp": "bicubic", "ssim": "uniform", "round": False}
    data = {"name": "folder", "root": str(pairs_folder)}
    settings = {"method": "identity", "data": data, "flow": {"name": "none"}, "device": "cpu"}
    return dict.fromkeys(keys) | protocol | settings | {"overwrite": False, "save_images": True}


def test_the_blurry_images_are_measured(
    config: dict[str, Any], pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # no weights for LPIPS
    text = evaluate(config, tmp_path / "out")
    expected = []
    for sharp in sorted((pairs_folder / "test" / "gt").iterdir()):
        images = (np.asarray(Image.open(path)) for path in (sharp, pairs_folder / "test" / "blur" / sharp.name))
        expected.append(peak_signal_noise_ratio(*images))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["restored"]["gt/psnr"] == pytest.approx(np.mean(expected), abs=1e-3)
    assert (summary["title"], summary["images"]) == ("identity", 2)
    assert summary["protocol"]["flow"] == {"name": "none"}
    assert summary["placement_against"] == "blurry"
    assert text.startswith("# identity: test split of data=folder")
    assert "LPIPS is left out" in text
    assert not (tmp_path / "out" / "restored").exists()  # the images are there already
    with pytest.raises(UserError, match="exists already"):
        evaluate(config, tmp_path / "out")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"split": "train"}, "split='train' is not one of val, test"),
        ({"data": None}, "which pairs"),
        ({"seed": -1}, "seed=-1 is not a whole number"),
        ({"seed": 0.5}, "seed=0.5 is not a whole number"),
    ],
)
def test_wrong_settings(setting: dict[str, Any], message: str, config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(config | setting, tmp_path / "out")
    assert not (tmp_path / "out").exists()
