"""Launches the ranks of a training, monitors them and cleans up.

The launcher trains nothing and does not import torch, so it survives a rank that dies, reports the cause, and in a
sweep moves on to the next job. It sends the composed configuration and the run folder over a pipe, so every rank trains
exactly this job. (Lightning's launcher repeats the command line in each process, which in a sweep is the whole sweep,
and kills the launching process when a rank dies.)
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from jdrl_lightning.cli.checkpoints import checkpoint_file
from jdrl_lightning.errors import INTERRUPTED, UserError
from jdrl_lightning.io.hub import WEIGHTS
from jdrl_lightning.runtime.distributed import launched_by, requested_devices
from jdrl_lightning.runtime.preemption import REQUEUE
from jdrl_lightning.training import settings
from jdrl_lightning.training.rank import Rank, exit_reason
from jdrl_lightning.training.worker import Job, work

__all__ = ["train"]

log = logging.getLogger(__name__)

POLL_EVERY_S = 0.1
GRACE_S = 30.0  # for the ranks to exit by themselves: after Ctrl-C, which the terminal sends to them too, or a signal
FORWARDED = (signal.SIGTERM, signal.SIGUSR1)  # to the ranks, which may have something to save
COMMANDS = {"torchrun": "torchrun --nproc_per_node=<n> -m jdrl_lightning.train", "slurm": "srun jdrl-train"}
JOB_KEYS = ("job", "job_logging", "mode", "overrides", "runtime", "verbose")  # of Hydra's config, sent to the ranks


def train(config: dict[str, Any], run_dir: Path) -> dict[str, float]:
    """Train what ``config`` describes, in this process or in new ones, and return the final metrics.

    Several devices get one process each, unless torchrun or srun has launched the processes. A sweep always launches
    new processes, so that a crash ends only its own job.

    Raises:
        UserError: a user error in any rank; or a rank failed or was killed (the message says which one).
    """
    settings.check(config)
    if config["ckpt_path"] not in (None, "auto"):
        config = _located(config)
    hydra = HydraConfig.get()
    is_sweep = hydra.mode == RunMode.MULTIRUN
    keys = (*JOB_KEYS, "sweep") if is_sweep else JOB_KEYS
    job = Job(config, run_dir, {key: _plain(getattr(hydra, key)) for key in keys})
    count = _ranks_to_launch(config["trainer"], hydra.runtime.choices.get("trainer"), is_sweep)
    if count == 0:
        return work(job)
    with _launch(count, job) as ranks:
        return _monitor(ranks)


def _located(config: dict[str, Any]) -> dict[str, Any]:
    """``config`` with the file of its ``ckpt_path``; a model of ``save_pretrained`` becomes ``backbone.weights``."""
    given = config["ckpt_path"]
    file = checkpoint_file(given, "last")
    if file.name != WEIGHTS:
        return {**config, "ckpt_path": str(file)}
    log.info("ckpt_path=%s: weights without the state of their training; this one starts from them at step 0", given)
    return {**config, "ckpt_path": None, "backbone": {**config["backbone"], "weights": given}}


def _ranks_to_launch(trainer: dict[str, Any], choice: str | None, is_sweep: bool) -> int:
    """How many processes to launch; 0: train in this one. ``choice`` is the config group's option (``trainer=ddp``).

    Raises:
        UserError: the trainer's settings do not match the way this process was launched.
    """
    launcher = launched_by()
    if launcher is not None:
        if is_sweep:
            raise UserError(f"a sweep launches its own processes: run it without {launcher}, with trainer.devices=<n>")
        return 0
    if choice in COMMANDS and not (choice == "slurm" and "SLURM_JOB_ID" in os.environ):
        raise UserError(f"trainer={choice}: launch the training with {COMMANDS[choice]} trainer={choice}")
    count, nodes = requested_devices(trainer), trainer.get("num_nodes", 1)
    if nodes > 1:
        raise UserError(f"trainer.num_nodes={nodes}: launch the training with {' or '.join(COMMANDS.values())}")
    return max(1, count) if is_sweep or count > 1 else 0


@contextmanager
def _launch(count: int, job: Job) -> Iterator[list[Rank]]:
    """Start the ranks of a job; none outlives the block."""
    ranks: list[Rank] = []
    port = _free_port()
    try:
        with _forward_signals(ranks):
            for number in range(count):
                ranks.append(Rank(number, count, port, job))
            yield ranks
    except KeyboardInterrupt:
        _wait(ranks)
        raise SystemExit(INTERRUPTED) from None
    finally:
        for rank in ranks:
            rank.kill()


@contextmanager
def _forward_signals(ranks: list[Rank]) -> Iterator[None]:
    """Forward termination signals to the ranks inside the block; no effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, frame: Any) -> None:
        for rank in ranks:
            rank.process.send_signal(number)

    previous = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _monitor(ranks: list[Rank]) -> dict[str, float]:
    """Wait for all ranks to finish; returns the first rank's metrics."""
    while True:
        for rank in ranks:
            rank.poll()
        if failure := _failure(ranks):
            raise UserError(failure)
        if code := max(rank.report.exit if rank.report else 0 for rank in ranks):
            _wait(ranks)
            raise SystemExit(code)
        if _orphaned():
            for rank in ranks:
                rank.process.terminate()
            _wait(ranks)
            raise SystemExit(REQUEUE)
        if ranks[0].report and all(rank.exit_code == 0 for rank in ranks):
            return ranks[0].report.metrics
        time.sleep(POLL_EVERY_S)


def _orphaned() -> bool:
    """True if the pool that spawned this worker (joblib's launcher) has died; the worker must then stop itself."""
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid != os.getppid()


def _wait(ranks: list[Rank]) -> None:
    """Give the ranks time to exit by themselves."""
    until = time.monotonic() + GRACE_S
    while time.monotonic() < until and any(rank.process.poll() is None for rank in ranks):
        time.sleep(POLL_EVERY_S)


def _failure(ranks: list[Rank]) -> str | None:
    """Why the job failed, or None; follow-up errors from ranks that lost a peer are ignored."""
    for rank in ranks:
        if rank.exit_code is not None and rank.report is None:
            others = "; the other ranks were stopped" if len(ranks) > 1 else ""
            return f"{rank.name} {exit_reason(rank.exit_code)}{others}"
    failed = [(rank.report, rank.name) for rank in ranks if rank.report is not None and rank.report.error]
    if not failed:
        return None
    first, name = min(failed, key=lambda pair: pair[0].time)
    if not first.trace:
        return first.error
    print(first.trace, file=sys.stderr, end="")
    return f"{name} failed: {first.error}"


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
