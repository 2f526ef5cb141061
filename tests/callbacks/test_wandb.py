from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def test_without_a_key_a_run_is_kept_offline_and_can_be_read_back(
    train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    caplog.set_level("INFO")
    run = train(tmp_path / "run", "logger=wandb", "trainer.max_epochs=1", "callbacks.panels.every_n_epochs=1")
    assert "kept offline" in caplog.text
    (offline,) = (run / "wandb").glob("offline-run-*")
    assert len(list(offline.glob("files/media/images/panels/*.png"))) == 2
    wandb = Path(sys.executable).with_name("wandb")
    shown = subprocess.run(
        [wandb, "leet", "inspect", "--summary", str(offline)], capture_output=True, text=True, timeout=60
    )
    assert "val/deformed_gt/psnr" in shown.stdout, shown.stderr
    assert (run / "metrics.csv").is_file()
