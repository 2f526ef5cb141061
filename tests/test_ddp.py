"""Several ranks compute the same training as one, and all exit when one of them dies."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import TINY
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.io.image import read_image, write_image

PYTHON = (sys.executable, "-m", "jdrl_lightning.train")
LR = 1e-3
STEPS = 10
SWITCH = ("trainer.max_epochs=2", "objective.warmup_epochs=1", f"trainer.limit_train_batches={STEPS // 2}")


@pytest.fixture
def odd_folder(pairs_folder: Path, tmp_path: Path) -> Path:
    """The pairs with a third one for validation, and enough crops for ten steps."""
    root = tmp_path / "odd pairs"
    for path in pairs_folder.rglob("*.png"):
        target = root / path.relative_to(pairs_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    for kind in ("blur", "gt"):
        write_image(root / "val" / kind / "third.png", read_image(root / "train" / kind / "03.png").flip(-1))
    return root


@pytest.fixture
def launch() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``launch(command, cwd, **environment)``: run a command in its own session, killed when the test ends."""
    launched: list[subprocess.Popen[str]] = []

    def start(command: tuple[str, ...], cwd: Path, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, cwd=cwd, env=os.environ | {"OMP_NUM_THREADS": "1"} | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        launched.append(process)
        return process

    yield start
    for process in launched:
        for pid in session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def session(leader: int) -> list[int]:
    """The processes of a session that still run."""
    return [pid for pid, _, of_session in processes() if of_session == leader]


def children(parent: int) -> list[int]:
    return [pid for pid, of_parent, _ in processes() if of_parent == parent]


def processes() -> list[tuple[int, int, int]]:
    """Process id, parent and session of all running processes."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,sess=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [(int(pid), int(parent), int(group)) for pid, parent, group, state in rows if not state.startswith("Z")]


def finished(process: subprocess.Popen[str], seconds: float = 150) -> str:
    """Wait for exit code 0; returns the standard error."""
    _, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors
    return errors


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]


def column(run: Path, name: str) -> list[float]:
    with (run / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def test_two_ranks_with_half_the_batch_match_one(
    train: Callable[..., Path], odd_folder: Path, launch: Callable[..., Any], tmp_path: Path
) -> None:
    """Across a stage switch (the first stage leaves a network unused) and with an odd number of validation images."""
    settings = (
        *TINY,
        "objective=jdrl_official",
        f"optim.optimizer.lr={LR}",
        *SWITCH,
        "trainer.precision=64-true",  # in float32 rounding decides which ReLUs near 0 are active, and Adam amplifies it
        "data.repeat=3",
        "callbacks.panels.every_n_epochs=1",
    )
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, *settings[len(TINY) :], f"data.root={odd_folder}", "data.batch_size=4")
    halved = (f"data.root={odd_folder}", "data.batch_size=2", "trainer.devices=2", f"hydra.run.dir={two}")
    errors = finished(launch((*PYTHON, *settings, *halved), tmp_path))
    assert "Warning" not in errors

    expected, found = weights(one), weights(two)
    differences = [(expected[key] - found[key]).abs().max() for key in expected if expected[key].is_floating_point()]
    assert max(differences) < LR / 10
    summaries = [json.loads((run / "summary.json").read_text()) for run in (one, two)]
    assert [summary["world_size"] for summary in summaries] == [1, 2]
    assert [summary["steps"] for summary in summaries] == [STEPS, STEPS]
    measured = {name: value for name, value in summaries[0]["metrics"].items() if name.startswith("val/")}
    assert len(measured) > 8
    for name, value in measured.items():
        if not name.startswith("val/blur/"):  # measured on rank 0's first image
            assert summaries[1]["metrics"][name] == pytest.approx(value, rel=1e-3, abs=1e-3), name
    losses = column(one, "train/loss")
    assert len(losses) == STEPS
    assert column(two, "train/loss") == pytest.approx(losses, rel=1e-3)
    assert len(list((two / "panels").iterdir())) == 4
    kinds = [{path.relative_to(run).parts[0] for path in run.rglob("*")} for run in (one, two)]
    assert kinds[1] - kinds[0] == {"train.log", ".hydra"}


@pytest.mark.parametrize(
    "rival", [("objective=jdrl_map", "backbone=guided", "backbone.of.width=4", SWITCH[1]), ("objective=mimicked",)]
)
def test_rivals_train_alike_on_two_ranks(
    rival: tuple[str, ...], train: Callable[..., Path], pairs_folder: Path, launch: Callable[..., Any], tmp_path: Path
) -> None:
    """Through a change of stage, and with an input that the objective makes."""
    settings = (
        *rival, f"data.root={pairs_folder}", f"optim.optimizer.lr={LR}", "trainer.precision=64-true", "data.repeat=3",
        "trainer.max_epochs=2", "trainer.limit_train_batches=2",
    )  # fmt: skip
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, *settings, "data.batch_size=4")
    halved = ("data.batch_size=2", "trainer.devices=2", f"hydra.run.dir={two}")
    finished(launch((*PYTHON, *TINY, *settings, *halved), tmp_path))
    expected, found = weights(one), weights(two)
    assert any("estimator" in key for key in found) is ("backbone=guided" in rival)
    differences = [(expected[key] - found[key]).abs().max() for key in expected if expected[key].is_floating_point()]
    assert max(differences) < LR / 10


def test_torchrun_and_srun_write_one_run_folder(pairs_folder: Path, launch: Callable[..., Any], tmp_path: Path) -> None:
    settings = (*TINY, f"data.root={pairs_folder}", "debug=fast", "trainer.max_epochs=1")
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "-m", "jdrl_lightning.train")
    finished(launch((*torchrun, *settings, "trainer=torchrun"), tmp_path))
    (summary,) = tmp_path.glob("outputs/default/*/summary.json")
    assert json.loads(summary.read_text())["world_size"] == 2
    assert len(list(summary.parent.parent.iterdir())) == 1

    job = {
        "SLURM_JOB_ID": str(20000 + os.getpid() % 9999),  # Lightning derives the port from it
        "SLURM_STEP_ID": "3",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "127.0.0.1",
    }
    tasks = [
        launch((*PYTHON, *settings, "trainer=slurm", "name=slurm"), tmp_path, SLURM_PROCID=n, SLURM_LOCALID=n, **job)
        for n in "01"
    ]
    for task in tasks:
        finished(task)
    (summary,) = tmp_path.glob("outputs/slurm/*/summary.json")
    assert summary.parent.name == f"{job['SLURM_JOB_ID']}-3"
    assert json.loads(summary.read_text())["world_size"] == 2


@pytest.mark.parametrize(
    ("victim", "number"), [("rank", signal.SIGKILL), ("launcher", signal.SIGKILL), ("launcher", signal.SIGTERM)]
)
def test_when_one_process_is_killed_all_exit(
    victim: str, number: int, pairs_folder: Path, launch: Callable[..., Any], tmp_path: Path
) -> None:
    settings = (
        *TINY,
        f"data.root={pairs_folder}",
        "trainer.max_epochs=100000",
        "trainer.devices=2",
        "data.num_workers=1",
    )
    run = tmp_path / "run"
    process = launch((*PYTHON, *settings, f"hydra.run.dir={run}"), tmp_path)
    wait_for(lambda: (run / "checkpoints" / "last.ckpt").is_file(), 120)
    ranks = {rank_of(pid): pid for pid in children(process.pid)}
    assert ranks.keys() == {"0", "1"}
    os.kill(ranks["1"] if victim == "rank" else process.pid, number)
    wait_for(lambda: process.poll() is not None, 60)
    wait_for(lambda: not session(process.pid), 60)
    errors = process.communicate()[1]
    assert process.returncode > 0 if number == signal.SIGTERM or victim == "rank" else process.returncode < 0
    if victim == "rank":
        assert errors.splitlines()[-1].startswith(
            "error: rank 1 of 2 was killed (SIGKILL), usually because memory ran out"
        )
        assert "Traceback" not in errors


def wait_for(condition: Callable[[], Any], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "timed out"
        time.sleep(0.1)


def rank_of(pid: int) -> str | None:
    """LOCAL_RANK in the environment of a running process."""
    shown = subprocess.run(["ps", "eww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True).stdout
    values = [word.partition("=")[2] for word in shown.split() if word.startswith("LOCAL_RANK=")]
    return values[0] if values else None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("trainer=torchrun", "error: trainer=torchrun: launch the training with torchrun "),
        ("trainer=slurm", "error: trainer=slurm: launch the training with srun "),
        ("+trainer.num_nodes=2", "error: trainer.num_nodes=2: launch the training with torchrun "),
    ],
)
def test_settings_for_another_launcher_are_refused(
    settings: str, message: str, launch: Callable[..., Any], tmp_path: Path
) -> None:
    process = launch((*PYTHON, settings), tmp_path)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert errors.startswith(message)
    assert len(errors.splitlines()) == 1
