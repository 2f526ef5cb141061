"""Faults of docs/reliability.md that no other test covers; and the tests that it names exist."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.callbacks.find_checkpoint import latest_checkpoint
from jdrl_lightning.io.image import write_image

ROOT = Path(__file__).parents[1]


def one_pixel(folder: Path) -> None:
    for kind in ("blur", "gt"):
        write_image(folder / kind / "03.png", torch.zeros(3, 1, 1, dtype=torch.uint8))


def mismatched(folder: Path) -> None:
    write_image(folder / "gt" / "03.png", torch.zeros(3, 48, 41, dtype=torch.uint8))


def truncated(folder: Path) -> None:
    path = folder / "gt" / "03.png"
    path.write_bytes(path.read_bytes()[:-300])


def nan(folder: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = np.full((48, 40, 3), 0.5, np.float32)
    pixels[3, 4] = np.nan
    for kind in ("blur", "gt"):
        (folder / kind / "03.png").unlink()
        tifffile.imwrite(folder / kind / "03.tif", pixels, photometric="rgb")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (one_pixel, r"blur/03\.png: 1x1 pixels are smaller than data\.crop=32"),
        (mismatched, r"blur/03\.png has 40x48 pixels, its partner \S+gt/03\.png 41x48; crop or resize"),
        (truncated, r"gt/03\.png: cannot be read .*; replace or remove it"),
        (nan, r"blur/03\.tif: cannot be read \(NaN or infinite values"),
    ],
)
def test_damaged_images_are_named_before_training(
    damage: Callable[[Path], None], message: str, pairs_folder: Path, train: Callable[..., Path], tmp_path: Path
) -> None:
    mine = shutil.copytree(pairs_folder, tmp_path / "mine")
    damage(mine / "train")
    with pytest.raises(UserError, match=message) as error:
        train(tmp_path / "run", f"data.root={mine}")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_corrupted_checkpoint_is_skipped_in_one_line(
    train: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes changed in its directory, its pickle, and its weights."""
    run = train(tmp_path / "run", "trainer.max_epochs=1", "callbacks.best=null", "trainer.limit_train_batches=1")
    good = run / "checkpoints" / "last.ckpt"
    identity = read_checkpoint(good)["jdrl_lightning"]["config"]["hash"]
    content = good.read_bytes()
    for start in (100, len(content) // 2, len(content) - 40):
        damaged = bytearray(content)
        damaged[start : start + 20] = bytes(byte ^ 0xFF for byte in damaged[start : start + 20])
        (run / "checkpoints" / "newer.ckpt").write_bytes(bytes(damaged))
        caplog.clear()
        assert latest_checkpoint(run, identity) == good, start
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("skipped: ")
        assert "newer.ckpt" in line
        assert "\n" not in line


def test_the_tests_named_by_the_page_exist() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    named = re.findall(r"tests/[\w/]+\.py(?:::\w+)?", page)
    assert len(named) > 10
    for name in named:
        path, _, function = name.partition("::")
        assert (ROOT / path).is_file(), name
        assert f"def {function}" in (ROOT / path).read_text(), name
