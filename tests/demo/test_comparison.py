from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from jdrl_lightning import Pair
from jdrl_lightning.demo import comparison
from jdrl_lightning.demo.comparison import as_batches, compose_training, measure_images, train_row


def test_images_are_measured_against_the_truth(photo: Tensor) -> None:
    truth = photo[None, :, 100:164, 200:264].float() / 255
    blurry = (truth + 0.1).clamp(0, 1)
    pair = Pair(blurry, truth.flip(0), ["a"], {"aligned": truth})
    values, images = measure_images(None, [pair])
    assert torch.equal(images[0], blurry[0])
    found, expected = (image[0].permute(1, 2, 0).double().numpy() for image in (blurry, truth))
    inner = (slice(16, -16), slice(16, -16))
    for name, value, tolerance in (
        ("psnr", peak_signal_noise_ratio(expected, found, data_range=1), 1e-3),
        ("psnr_interior", peak_signal_noise_ratio(expected[inner], found[inner], data_range=1), 1e-3),
        ("ssim", structural_similarity(expected, found, channel_axis=-1, data_range=1), 1e-5),
        ("mae", np.abs(expected - found).mean(), 1e-6),
        ("placement_px", 0, 0.05),
    ):
        assert values[name][0] == pytest.approx(value, abs=tolerance), name
    perfect, _ = measure_images(lambda blurry: truth + 2 * (truth == truth.max()), [pair])  # clamped
    assert perfect["ssim"][0] == pytest.approx(1)


def test_batches_are_float_and_of_one(photo: Tensor) -> None:
    crop = photo[:, :8, :8]
    (batch,) = as_batches([Pair(crop, crop, "a", {"coc": torch.full((1, 8, 8), 2.0)})])
    torch.testing.assert_close(batch.blurry, crop[None] / 255)
    assert batch.name == ["a"]
    assert float(batch.extras["coc"].max()) == 2


def test_a_run_folder_may_have_any_name(tmp_path: Path) -> None:
    """Hydra's grammar knows spaces, commas and brackets."""
    folder = tmp_path / "my run, [first] = {best}"
    config = compose_training(folder, ["experiment=demo", "seed=3"])
    assert (config["run_dir"], config["seed"]) == (str(folder), 3)


def test_the_curve_counts_completed_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(config: dict[str, Any], run_dir: Path) -> None:
        with (run_dir / "metrics.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([["step", "val/aligned/psnr", "loss"], [0, "", 1], [9, 20.5, ""], [19, 21.5, ""]])

    monkeypatch.setattr("jdrl_lightning.training.fit.fit", fit)
    monkeypatch.setattr(comparison.build, "from_checkpoint", lambda path: path)
    module, seconds, curve = train_row({}, tmp_path)
    assert module == tmp_path / "checkpoints" / "last.ckpt"
    assert curve == [(10, 20.5), (20, 21.5)]
    assert seconds >= 0
