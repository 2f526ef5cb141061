"""Ranks are launched, monitored and cleaned up; the first cause of a failure is reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.runtime import distributed
from jdrl_lightning.training import launcher
from jdrl_lightning.training.worker import Job, Report

SILENT = {"version": 1, "handlers": {}, "root": {"level": "INFO", "handlers": []}, "disable_existing_loggers": False}
# Put on the ranks' path: their training, in place of the real one.
FIT = """
import os, signal, sys, time, types
fit = types.ModuleType("jdrl_lightning.training.fit")
def train(config, run_dir):
    if os.environ["LOCAL_RANK"] == "1":
        if config["rank_1"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if config["rank_1"] == "failed":
            raise ValueError("the cause")
    elif config["rank_1"] != "well":
        time.sleep(60)
    return {"port": float(os.environ["MASTER_PORT"]), "placed": float("SLURM_NTASKS" in os.environ),
            "threads": float(os.environ["OMP_NUM_THREADS"])}
fit.fit = train
sys.modules["jdrl_lightning.training.fit"] = fit
"""


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (*distributed.RANK_VARIABLES, "SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_JOB_ID"):
        monkeypatch.delenv(key, raising=False)


def run(rank_1: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pids: list[int]) -> dict[str, float]:
    """The metrics of two ranks; ``pids`` receives their process ids."""
    (tmp_path / "sitecustomize.py").write_text(FIT)
    monkeypatch.syspath_prepend(tmp_path)
    job = Job({"rank_1": rank_1}, tmp_path, {"job_logging": SILENT, "verbose": False})
    with launcher._launch(2, job) as ranks:
        pids.extend(rank.process.pid for rank in ranks)
        return launcher._monitor(ranks)


def test_two_ranks_share_a_port_and_nothing_of_the_outer_placement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    metrics = run("well", tmp_path, monkeypatch, [])
    assert metrics["port"] > 1023
    assert metrics["placed"] == 0
    assert metrics["threads"] == max(1, distributed.allowed_cores() // 2)


@pytest.mark.parametrize(
    ("rank_1", "message"),
    [
        ("killed", r"^rank 1 of 2 was killed \(SIGKILL\), usually because memory .*; the other ranks were stopped$"),
        ("failed", r"^rank 1 of 2 failed: ValueError: the cause$"),
    ],
)
def test_a_failing_rank_ends_the_other(
    rank_1: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pids: list[int] = []
    with pytest.raises(UserError, match=message):
        run(rank_1, tmp_path, monkeypatch, pids)
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert ("Traceback" in capfd.readouterr().err) == (rank_1 == "failed")


@pytest.mark.parametrize(
    ("trainer", "choice", "is_sweep", "count"),
    [
        ({}, "default", False, 0),
        ({"devices": 1}, None, True, 1),
        ({"devices": 2}, "ddp", False, 2),
        ({"devices": "0,1,2"}, None, True, 3),
        ({"devices": 0}, None, True, 1),  # the rank's trainer refuses it, with its message
    ],
)
def test_how_many_ranks(trainer: dict[str, Any], choice: str | None, is_sweep: bool, count: int) -> None:
    assert launcher._ranks_to_launch(trainer, choice, is_sweep) == count


def test_processes_of_another_launcher_launch_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert launcher._ranks_to_launch({"devices": 4}, "torchrun", False) == 0
    with pytest.raises(UserError, match=r"without torchrun, with trainer\.devices=<n>"):
        launcher._ranks_to_launch({"devices": 4}, None, True)


def rank(number: int, exit_code: int | None = None, **report: Any) -> Any:
    return SimpleNamespace(
        name=f"rank {number} of 3", exit_code=exit_code, report=Report(**({"metrics": {}} | report)) if report else None
    )


def test_the_earliest_failure_is_the_cause(capsys: pytest.CaptureFixture[str]) -> None:
    lost_peer = {"error": "RuntimeError: connection closed by peer", "trace": "a trace\n"}
    cause = {"error": "a.png: replace it"}
    ranks = [rank(0, time=3.0, **lost_peer), rank(1, time=2.0, **cause), rank(2, time=1.0)]
    assert launcher._failure(ranks) == "a.png: replace it"
    assert capsys.readouterr().err == ""
    ranks[1] = rank(1, time=4.0, **cause)
    assert launcher._failure(ranks) == f"rank 0 of 3 failed: {lost_peer['error']}"
    assert capsys.readouterr().err == "a trace\n"
    assert launcher._failure([rank(0), rank(1, 0, time=1.0)]) is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-signal.SIGKILL, "was killed (SIGKILL), usually because memory ran out: lower data.batch_size or data.crop"),
        (-signal.SIGSEGV, "was terminated by SIGSEGV"),
        (3, "exited early with code 3"),
    ],
)
def test_a_rank_without_a_report_is_named_with_its_reason(code: int, reason: str) -> None:
    alive = rank(0)
    assert launcher._failure([alive, rank(1, code)]) == f"rank 1 of 3 {reason}; the other ranks were stopped"
    assert launcher._failure([rank(1, code)]) == f"rank 1 of 3 {reason}"


def test_ranks_are_terminated_when_the_pool_of_their_job_has_died(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    rank: Any = SimpleNamespace(process=process, report=None, exit_code=None, poll=lambda: None)
    monkeypatch.setattr(launcher.multiprocessing, "parent_process", lambda: SimpleNamespace(pid=os.getppid() + 1))
    with pytest.raises(SystemExit, match="75"):
        launcher._monitor([rank])
    assert process.poll() == -signal.SIGTERM
