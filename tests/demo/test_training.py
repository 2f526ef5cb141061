"""The whole demonstration in small, and trainings that fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import active_children
from pathlib import Path

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.demo.__main__ import main
from jdrl_lightning.demo.rows import METHODS, ROWS, compose_row
from jdrl_lightning.demo.training import side_by_side, train_rows

TINY = [
    "data.frame=96",
    "data.crop=32",
    "data.repeat=1",
    "data.batch_size=2",
    "data.frames_per_photo={train: 1, val: 1, test: 1}",
    "trainer.accelerator=cpu",
]


@pytest.fixture
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.usefixtures("one_thread_each")
def test_the_demonstration_leaves_its_table_its_page_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--output", str(tmp_path), "--seed", "3", *TINY, "data.gain=0"])
    outcome = json.loads((tmp_path / "results.json").read_text())
    assert outcome["settings"]["seed"] == 3
    assert [row["method"] for row in outcome["rows"]] == list(ROWS)
    assert all(row["seconds"] > 0 for row in outcome["rows"][2:])
    assert outcome["settings"]["steps"] > 0
    page = (tmp_path / "report.html").read_text()
    assert "<html" in page
    assert all(method in page for method in METHODS)
    assert {path.name for path in tmp_path.iterdir()} == {*METHODS, "results.json", "report.html"}
    for method in METHODS:
        assert {"checkpoints", "metrics.csv", "summary.json"} <= {path.name for path in (tmp_path / method).iterdir()}
        assert not (tmp_path / method / "progress").exists()
    printed = capsys.readouterr().out
    assert all(f"{method}: " in printed for method in METHODS)


@pytest.mark.usefixtures("one_thread_each")
def test_a_training_that_fails_ends_the_others(tmp_path: Path) -> None:
    good = compose_row("charbonnier", tmp_path / "good", [*TINY, "trainer.max_epochs=100000"])
    bad = {**good, "data": {**good["data"], "crop": 4096}}
    others = set(active_children())  # loading processes of a test before this one may still be ending
    with pytest.raises(UserError, match="4096"):
        list(train_rows({"good": good, "bad": bad}, tmp_path))
    assert set(active_children()) <= others
    assert not (tmp_path / "good" / "summary.json").exists()


@pytest.mark.usefixtures("one_thread_each")
def test_a_training_that_is_killed_is_reported_in_one_line(tmp_path: Path) -> None:
    config = compose_row("charbonnier", tmp_path / "killed", [*TINY, "trainer.max_epochs=100000"])
    others = set(active_children())

    def kill() -> None:
        while not (tmp_path / "killed" / "progress").exists():
            time.sleep(0.1)
        for child in set(active_children()) - others:
            os.kill(child.pid or 0, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(UserError, match="killed"):
        list(train_rows({"killed": config}, tmp_path))


ALONE = """
import json, sys
from pathlib import Path
from jdrl_lightning.demo.training import train_rows
list(train_rows({"one": json.loads(sys.argv[1])}, Path(sys.argv[2])))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's table of processes")
@pytest.mark.usefixtures("one_thread_each")
def test_a_demonstration_that_is_killed_leaves_no_training_behind(tmp_path: Path) -> None:
    config = compose_row("charbonnier", tmp_path / "one", [*TINY, "trainer.max_epochs=100000"])
    whole = subprocess.Popen([sys.executable, "-c", ALONE, json.dumps(config), str(tmp_path)])
    try:
        while not (tmp_path / "one" / "progress").exists():
            assert whole.poll() is None
            time.sleep(0.1)
        children = Path(f"/proc/{whole.pid}/task/{whole.pid}/children").read_text().split()
    finally:
        whole.kill()
        whole.wait()
    assert len(children) >= 1
    until = time.monotonic() + 30
    while left := [pid for pid in children if _runs(pid)]:
        assert time.monotonic() < until, left
        time.sleep(0.1)


def _runs(pid: str) -> bool:
    """Whether it still runs: one that has not been waited for is a zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, shared in ((1, (1, 1)), (2, (2, 1)), (16, (4, 4))):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert side_by_side(4) == shared
