"""One rank: its log, its report, and its exit with the launcher."""

from __future__ import annotations

import logging
import logging.config
import subprocess
import sys
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.training import worker
from jdrl_lightning.training.worker import Job, Report

SILENT = {"version": 1, "root": {"level": "INFO", "handlers": []}, "disable_existing_loggers": False}
# A rank whose training is replaced; the rest is the real one.
RANK = """
import time
from jdrl_lightning.training import worker
def work(job):
    if job.config["seed"] < 0:
        time.sleep(60)
    return {"seed": job.config["seed"], "folder": str(job.run_dir)}
worker.work = work
worker.main()
"""


def job(seed: int) -> Job:
    return Job({"seed": seed}, Path("here"), {"job_logging": SILENT, "verbose": False})


def rank() -> tuple[subprocess.Popen[bytes], Connection]:
    pipe, stdin = Pipe()
    process = subprocess.Popen([sys.executable, "-c", RANK], stdin=stdin.fileno())
    stdin.close()
    return process, pipe


def test_a_job_comes_in_and_its_report_goes_out() -> None:
    process, pipe = rank()
    pipe.send(tuple(job(7)))
    report = Report(*pipe.recv())
    assert report.metrics == {"seed": 7, "folder": "here"}
    assert (report.error, report.trace, report.exit) == ("", "", 0)
    assert abs(report.time - time.time()) < 60
    assert process.wait(timeout=60) == 0


def test_it_exits_with_its_launcher() -> None:
    process, pipe = rank()
    pipe.send(tuple(job(-1)))
    pipe.close()
    assert process.wait(timeout=50) == 1


@pytest.mark.parametrize(
    ("ending", "error", "code"),
    [
        (UserError("a.png: replace it"), "a.png: replace it", 0),
        (SystemExit(75), "", 75),
        (SystemExit(), "", 1),
        (SystemExit("text"), "", 1),
        (ValueError("first\nsecond"), "ValueError: first", 0),
        (KeyboardInterrupt(), "KeyboardInterrupt", 0),
    ],
)
def test_every_ending_is_reported(
    ending: BaseException, error: str, code: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def work(job: Job) -> dict[str, float]:
        raise ending

    monkeypatch.setattr(worker, "work", work)
    monkeypatch.setattr(logging.getLogger(), "handlers", [caplog.handler])
    report = worker._run(job(0))
    assert (report.metrics, report.error, report.exit) == ({}, error, code)
    is_bug = not isinstance(ending, UserError | SystemExit)
    assert ("Traceback" in report.trace) == is_bug
    assert (logging.getLogger().handlers == []) == is_bug, "the launcher prints the trace, not the console handler"


def test_other_ranks_log_warnings_to_a_file_of_their_own(tmp_path: Path) -> None:
    handlers: dict[str, Any] = {
        "console": {"class": "logging.StreamHandler"},
        "file": {"class": "logging.FileHandler", "filename": str(tmp_path / "train.log")},
    }
    config = SILENT | {"handlers": handlers, "root": {"level": "INFO", "handlers": ["console", "file"]}}
    own = worker._rank_logging(config, 3)
    assert list(own["handlers"]) == own["root"]["handlers"] == ["file"]
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        logging.config.dictConfig(own)
        root.info("an epoch has ended")
        assert not list(tmp_path.iterdir())
        root.warning("this matters")
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
    (written,) = tmp_path.iterdir()
    assert (written.name, written.read_text()) == ("train_rank_3.log", "this matters\n")
    assert handlers["file"] == {"class": "logging.FileHandler", "filename": str(tmp_path / "train.log")}
