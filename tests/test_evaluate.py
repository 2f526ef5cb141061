"""Measuring a checkpoint: per-image CSV, summary JSON, Markdown table, contact sheet."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from jdrl_lightning import DeblurringModule, UserError, backbones, objectives
from jdrl_lightning.build import from_checkpoint
from jdrl_lightning.data.images import read_image, to_float
from jdrl_lightning.evaluate import evaluate


def test_the_command_and_its_figures(train: Callable[..., Path], pairs_folder: Path, tmp_path: Path) -> None:
    run = train(tmp_path / "run", "trainer.max_epochs=1", "optim.optimizer.lr=1e-3")
    checkpoint = run / "checkpoints" / "last.ckpt"
    call = [sys.executable, "-m", "jdrl_lightning.evaluate", f"ckpt_path={checkpoint}", "output=measured", "device=cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_HOME": str(tmp_path)}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    output = tmp_path / "measured"
    with (output / "per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["input", "restored"] * 2
    summary = json.loads((output / "summary.json").read_text())
    assert summary["images"] == 2
    assert any("LPIPS is left out" in note for note in summary["notes"])
    table = (output / "table.md").read_text()
    assert "placement/rms" in table
    assert f"{summary['restored']['gt/psnr']:.2f}" in table
    assert Image.open(output / "contact_sheet.png").size[0] > 100

    module = from_checkpoint(checkpoint)
    for row in rows:
        if row["method"] == "input":
            continue
        blurry, sharp = (read_image(pairs_folder / "test" / kind / f"{row['name']}.png") for kind in ("blur", "gt"))
        restored = module(to_float(blurry)[None])[0].detach().permute(1, 2, 0).double().numpy()
        truth = to_float(sharp).permute(1, 2, 0).double().numpy()
        psnr = peak_signal_noise_ratio(truth, restored, data_range=1)
        ssim = structural_similarity(truth, restored, channel_axis=-1, data_range=1)
        assert float(row["gt/psnr"]) == pytest.approx(psnr, abs=1e-3)
        assert float(row["gt/ssim"]) == pytest.approx(ssim, abs=1e-5)

    assert any("less precise" in note for note in summary["notes"])
    published = [*call, "crop=top_left_16", "warp_mode=bilinear", "warp_grid=legacy", "overwrite=true"]
    done = subprocess.run(published, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    cut = json.loads((output / "summary.json").read_text())
    assert cut["restored"]["gt/psnr"] != summary["restored"]["gt/psnr"]
    assert cut["restored"]["deformed_gt/psnr"] != summary["restored"]["deformed_gt/psnr"]

    into_the_run = [*call[:-2], f"output={run}", "device=cpu"]
    for command, named in ((call, "measured"), (into_the_run, "summary.json")):
        again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert (again.returncode, named in again.stderr) == (1, True)
    again = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert again.returncode == 1
    assert "overwrite=true" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "ckpt_path"),
        (["ckpt_path=absent.ckpt"], "absent.ckpt"),
        (["ckpt_path=x", "split=train"], "split"),
        (["ckpt_path=x", "crop=half"], "center_8"),
    ],
)
def test_mistakes(arguments: list[str], words: str, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "jdrl_lightning.evaluate", *arguments]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_tiles_that_do_not_get_on_are_found_first() -> None:
    module = DeblurringModule(backbones.create("unet", width=4), objectives.create("l1"))
    with pytest.raises(UserError, match=r"tile=32 .* raise tile or lower overlap"):
        evaluate(module, [], None, None, tile=32, overlap=192)
