from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from jdrl_lightning.callbacks import summary
from jdrl_lightning.callbacks.summary import SummaryCallback, git_revision, peak_memory_mib

CPU = torch.device("cpu")
MODULE: Any = SimpleNamespace(device=CPU, backbone=nn.Conv2d(3, 4, 3))


def trainer(**metrics: float) -> Any:
    values = {name: torch.tensor(value) for name, value in metrics.items()}
    return SimpleNamespace(callback_metrics=values, is_global_zero=True, current_epoch=2, global_step=16, world_size=4)


def test_the_file_holds_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(summary.time, "monotonic", lambda: clock.now)
    first, resumed = (SummaryCallback(tmp_path / "summary.json", "0123abcd") for _ in range(2))
    first.on_fit_start(trainer(), MODULE)
    clock.now += 30
    resumed.load_state_dict(first.state_dict())
    resumed.on_fit_start(trainer(), MODULE)
    clock.now += 12.5
    resumed.on_fit_end(trainer(psnr=30.5, loss=math.inf), MODULE)
    written = json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)  # Infinity is not JSON
    assert written["metrics"] == {"loss": None, "psnr": 30.5}
    assert written["seconds"] == 42.5
    assert [written[key] for key in ("epochs", "steps", "world_size", "device", "config_hash")] == [
        2, 16, 4, "cpu", "0123abcd",
    ]  # fmt: skip
    assert written["parameters"] == 3 * 4 * 9 + 4
    assert written["versions"]["torch"] == torch.__version__.split("+")[0]
    metrics = resumed.metrics()
    assert metrics["psnr"] == 30.5
    assert math.isnan(metrics["loss"])


def test_a_complete_run_that_is_resumed_keeps_its_file(tmp_path: Path) -> None:
    callback = SummaryCallback(tmp_path / "summary.json", "0123abcd")
    callback.on_fit_end(trainer(psnr=30.0), MODULE)
    before = (tmp_path / "summary.json").read_bytes()
    callback.on_fit_end(trainer(), MODULE)
    other_rank = trainer(psnr=1.0)
    other_rank.is_global_zero = False
    callback.on_fit_end(other_rank, MODULE)
    assert (tmp_path / "summary.json").read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_peak_memory_is_the_kernels() -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    (kib,) = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    # getrusage also counts the process that called exec, which can only be larger.
    assert 0.95 <= peak_memory_mib(CPU) / (kib / 1024) < 100


def test_the_revision_is_gits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "summary.py").touch()
    monkeypatch.setattr(summary, "__file__", str(tmp_path / "summary.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision() is None
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, env=os.environ | identity, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", "summary.py")
    git("commit", "-q", "-m", "x")
    assert git_revision() == git("rev-parse", "HEAD")[:12]
    (tmp_path / "summary.py").write_text("changed")
    assert git_revision() == git("rev-parse", "HEAD")[:12] + "-dirty"
