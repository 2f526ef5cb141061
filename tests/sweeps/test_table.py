"""A failed job does not end the sweep, and sweep.csv records the outcome of each."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from conftest import TINY
from jdrl_lightning import UserError
from jdrl_lightning.sweeps import table as sweep_table
from jdrl_lightning.sweeps.table import recorded
from jdrl_lightning.training.fit import fit

# Put on the ranks' path: rank 1 dies in the middle of the job with seed 3.
DYING = """
import os, signal
if os.environ.get("LOCAL_RANK") == "1":
    from jdrl_lightning.module import DeblurringModule
    step = DeblurringModule.training_step
    def dying(self, batch, batch_idx):
        if self.seed == 3 and self.global_step == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch, batch_idx)
    DeblurringModule.training_step = dying
"""


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_user_error_and_a_killed_rank_end_only_their_jobs(pairs_folder: Path, tmp_path: Path) -> None:
    """With the console script, settings that need quoting, and the user's own configuration folder."""
    (tmp_path / "a folder").symlink_to(pairs_folder)
    (tmp_path / "my conf" / "experiment").mkdir(parents=True)
    (tmp_path / "my conf" / "experiment" / "mine.yaml").write_text("# @package _global_\nname: mine\n")
    (tmp_path / "sitecustomize.py").write_text(DYING)
    arguments = [
        "--multirun", "--config-dir", "my conf", *TINY, "debug=fast", "experiment=mine", "data.root=a folder",
        "objective.output_weights=[1.0, 0.5]", "++backbone={dropout: 0.1}", "~callbacks.blur",
        "trainer.devices=2", "trainer.max_epochs=1", "seed=3,-1,4",
    ]  # fmt: skip
    done = subprocess.run(
        [str(Path(sys.executable).with_name("jdrl-train")), *arguments],
        cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (folder,) = tmp_path.glob("multirun/mine/*")
    assert {path.name for path in folder.iterdir()} == {"0", "1", "2", "sweep.csv", "multirun.yaml"}
    killed, mistaken, good = table(folder)
    assert list(good)[:6] == ["job", "seed", "status", "error", "seconds", "val/deformed_gt/psnr"]
    assert [row["seed"] for row in (killed, mistaken, good)] == ["3", "-1", "4"]
    assert [row["status"] for row in (killed, mistaken, good)] == ["failed", "failed", "done"]
    assert killed["error"].startswith("rank 1 of 2 was killed (SIGKILL)")
    assert mistaken["error"].startswith("seed=-1 is not a whole number")
    summary = json.loads((folder / "2" / "summary.json").read_text())
    assert summary["world_size"] == 2
    assert float(good["val/deformed_gt/psnr"]) == summary["metrics"]["val/deformed_gt/psnr"]
    assert Path(good["folder"]) == folder / "2"
    assert "stage warmup" in (folder / "2" / "train.log").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"a folder", "my conf", "sitecustomize.py", "multirun"}


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``with job(number, *overrides)``: act as that job of a sweep in ``tmp_path``."""

    def enter(number: int, *overrides: str, mode: str = "MULTIRUN") -> Any:
        if mode == "MULTIRUN":
            (tmp_path / "sweep" / str(number)).mkdir(parents=True, exist_ok=True)
        hydra = {
            "mode": RunMode[mode], "job": {"num": number}, "sweep": {"dir": "sweep"},
            "overrides": {"task": list(overrides)},
            "runtime": {"cwd": str(tmp_path), "output_dir": str(tmp_path / "sweep" / str(number))},
        }  # fmt: skip
        monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": hydra}))
        return recorded("val/psnr")

    return enter


def test_the_table_has_settings_and_metrics(job: Callable[..., Any], tmp_path: Path) -> None:
    with job(0, "data.root=here, there", "seed=0", "+objective.lam=0.1") as metrics:
        (running,) = table(tmp_path / "sweep")
        metrics |= {"train/loss": 0.5, "val/psnr": 20.25}
    with job(1, "data.root=here, there", "seed=1", "+objective.lam=0.1") as metrics:
        metrics |= {"val/psnr": float("nan"), "val/ssim": 0.75}
    assert running["status"] == "running"
    assert running["seed"] == "0"
    first, second = table(tmp_path / "sweep")
    assert list(first) == ["job", "seed", "status", "error", "seconds", "val/psnr", "train/loss", "val/ssim", "folder"]
    assert (first["val/psnr"], first["train/loss"], first["val/ssim"]) == ("20.25", "0.5", "")
    assert (second["val/psnr"], second["val/ssim"], second["status"]) == ("", "0.75", "done")


def test_errors_are_recorded_and_raised(job: Callable[..., Any], tmp_path: Path) -> None:
    for number, error in enumerate([UserError("a, b: fix it"), ValueError("first\nsecond"), KeyboardInterrupt()]):
        with pytest.raises(type(error)), job(number, f"seed={number}"):
            raise error
    rows = table(tmp_path / "sweep")
    assert [row["status"] for row in rows] == ["failed", "failed", "interrupted"]
    assert [row["error"] for row in rows] == ["a, b: fix it", "ValueError: first", ""]


def test_parallel_jobs_lose_no_row(job: Callable[..., Any], tmp_path: Path, monkeypatch: Any) -> None:
    """A job that ends while another writes the table is still in it."""
    read, others = sweep_table._records, iter([1, 2])

    def meanwhile(folder: Path) -> list[dict[str, Any]]:
        found = read(folder)
        number = next(others, None)
        if number is not None:
            record = {**found[0], "job": number, "overrides": {"seed": str(number)}, "status": "done"}
            (folder / str(number)).mkdir()
            (folder / str(number) / "job.json").write_text(json.dumps(record))
        return found

    with job(0, "seed=0"):
        monkeypatch.setattr(sweep_table, "_records", meanwhile)
    assert [row["job"] for row in table(tmp_path / "sweep")] == ["0", "1", "2"]


def test_a_job_waits_while_its_folder_is_in_use(job: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "sweep" / "0"
    folder.mkdir(parents=True)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from jdrl_lightning.io.file_lock import exclusive\n"
        "with exclusive(Path('job.lock')):\n"
        "    print('in', flush=True)\n"
        "    sys.stdin.read()\n"
        "    Path('ended').touch()\n"
    )
    command = [sys.executable, "-c", code]
    earlier = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert earlier.stdout is not None
    assert earlier.stdin is not None
    assert earlier.stdout.readline() == "in\n"
    threading.Timer(0.5, earlier.stdin.close).start()
    with job(0, "seed=0"):
        assert (folder / "ended").exists()
    earlier.wait(timeout=30)
    assert [row["status"] for row in table(tmp_path / "sweep")] == ["done"]


def test_resuming_a_complete_run_keeps_its_metrics(
    composed: Callable[..., dict[str, Any]], pairs_folder: Path, tmp_path: Path
) -> None:
    """Then its row in sweep.csv stays too when the sweep is resumed."""
    settings = (*TINY, f"data.root={pairs_folder}", "debug=fast", "trainer.max_epochs=1", "ckpt_path=auto")
    first, again = (fit(composed(tmp_path / "run", *settings), tmp_path / "run") for _ in range(2))
    assert first["val/gt/psnr"] > 10
    assert again == first


def test_a_single_run_leaves_no_table(job: Callable[..., Any], tmp_path: Path) -> None:
    with job(0, "seed=0", mode="RUN") as metrics:
        metrics["val/psnr"] = 1.0
    assert not list(tmp_path.iterdir())
