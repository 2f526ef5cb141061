"""The processes of a training, started, watched and ended together.

The process that watches trains nothing and imports no torch, so it outlives whatever happens to a rank, says what it
was, and in a sweep goes on with the next job. Each rank is handed the composed configuration and the run's folder: it
cannot but train exactly this job. (Lightning's own launcher repeats the command line in each process, in a sweep that
of the whole sweep, and when a rank dies it kills the process that watches.)
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from jdrl_lightning.errors import INTERRUPTED, UserError
from jdrl_lightning.runtime.distributed import launched_by, requested_devices
from jdrl_lightning.runtime.preemption import REQUEUE
from jdrl_lightning.training.worker import Job, Report, work

__all__ = ["train"]

LOOK_EVERY_S = 0.1
LAST_S = 30.0  # for the ranks to end by themselves, after Ctrl-C (the terminal tells them too) or when one has ended
NOTICES = (signal.SIGTERM, signal.SIGUSR1)  # handed on to the ranks, which may have something to save
OTHERS = ("SLURM_", "RANK", "WORLD_SIZE", "GROUP_RANK", "NODE_RANK")  # variables that would place a rank elsewhere
COMMANDS = {"torchrun": "torchrun --nproc_per_node=<n> -m jdrl_lightning.train", "slurm": "srun jdrl-train"}


def train(config: dict[str, Any], run_dir: Path) -> dict[str, float]:
    """Train what ``config`` describes and return the final metrics: here, or in processes of their own.

    One process for each device unless they were started from outside already; in a sweep always apart, so that
    nothing that happens to a job ends the sweep.

    Raises:
        UserError: a mistake, whichever rank met it; or a rank failed or was killed, and which.
    """
    hydra = HydraConfig.get()
    swept, starter = hydra.mode == RunMode.MULTIRUN, launched_by()
    told = ("job", "job_logging", "mode", "overrides", "runtime", "verbose", *(["sweep"] if swept else []))
    job = Job(config, run_dir, {key: _plain(getattr(hydra, key)) for key in told})
    if starter is not None:
        if swept:
            raise UserError(f"a sweep starts its processes itself: leave {starter} out and give trainer.devices=<n>")
        return work(job)
    asked = hydra.runtime.choices.get("trainer")
    if asked in COMMANDS and not (asked == "slurm" and "SLURM_JOB_ID" in os.environ):
        raise UserError(f"trainer={asked} is for processes that it starts: {COMMANDS[asked]} trainer={asked}")
    count, nodes = requested_devices(config["trainer"]), config["trainer"].get("num_nodes", 1)
    if nodes > 1:
        raise UserError(f"trainer.num_nodes={nodes}: start the processes with {' or '.join(COMMANDS.values())}")
    if not swept and count <= 1:
        return work(job)
    with _started(max(1, count), job) as crew:
        return _watched(crew)


class _Rank:
    """A started process: ``code`` and ``report`` are what is known of its end."""

    def __init__(self, number: int, count: int, port: int, job: Job) -> None:
        self.name = f"rank {number} of {count}" if count > 1 else "the training"
        self.line, theirs = Pipe()
        environment = {key: value for key, value in os.environ.items() if not key.startswith(OTHERS)}
        environment |= {"LOCAL_RANK": str(number), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        # Else each rank advises, where a stage ends that left parts idle, to switch off what keeps the others right.
        environment.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        # The line is its standard input: it ends when this process does, however that happens.
        command = [sys.executable, "-P", "-m", "jdrl_lightning.training.worker"]
        self.process = subprocess.Popen(command, env=environment, stdin=theirs.fileno())
        theirs.close()
        self.line.send(tuple(job))
        self.code: int | None = None
        self.report: Report | None = None

    def look(self) -> None:
        """Take in how it is; first whether it has ended, since what it said comes before that."""
        self.code = self.process.poll()
        try:
            if self.report is None and self.line.poll():
                self.report = Report(*self.line.recv())
        except (EOFError, ConnectionResetError):
            pass

    def end(self) -> None:
        """Kill it, if it is still there."""
        self.process.kill()
        self.process.wait()
        self.line.close()


@contextmanager
def _started(count: int, job: Job) -> Iterator[list[_Rank]]:
    """The ranks of a job; none is left when the block ends."""
    crew: list[_Rank] = []
    port = _free_port()
    try:
        with _handed_on(crew):
            for number in range(count):
                crew.append(_Rank(number, count, port, job))
            yield crew
    except KeyboardInterrupt:
        _wait(crew)
        raise SystemExit(INTERRUPTED) from None
    finally:
        for member in crew:
            member.end()


@contextmanager
def _handed_on(crew: list[_Rank]) -> Iterator[None]:
    """Forward termination signals to the ranks inside the block; no effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def tell(number: int, frame: Any) -> None:
        for member in crew:
            member.process.send_signal(number)

    before = {number: signal.signal(number, tell) for number in NOTICES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watched(crew: list[_Rank]) -> dict[str, float]:
    """Wait until all have ended well; the first rank's metrics."""
    while True:
        for member in crew:
            member.look()
        if cause := _cause(crew):
            raise UserError(cause)
        if code := max(member.report.exit if member.report else 0 for member in crew):
            _wait(crew)
            raise SystemExit(code)
        if _orphaned():
            for member in crew:
                member.process.terminate()
            _wait(crew)
            raise SystemExit(REQUEUE)
        if crew[0].report and all(member.code == 0 for member in crew):
            return crew[0].report.metrics
        time.sleep(LOOK_EVERY_S)


def _orphaned() -> bool:
    """Whether this is a worker of a pool, as joblib's launcher has them, that is gone: its workers would go on."""
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid != os.getppid()


def _wait(crew: list[_Rank]) -> None:
    until = time.monotonic() + LAST_S
    while time.monotonic() < until and any(member.process.poll() is None for member in crew):
        time.sleep(LOOK_EVERY_S)


def _cause(crew: list[_Rank]) -> str | None:
    """Why the job has failed, if it has; what the other ranks then say of their lost partner is no cause."""
    for member in crew:
        if member.code is not None and member.report is None:
            return f"{member.name} {_ending(member.code)}{'; the others were stopped' if len(crew) > 1 else ''}"
    failed = [(member.report, member.name) for member in crew if member.report is not None and member.report.error]
    if not failed:
        return None
    first, name = min(failed, key=lambda pair: pair[0].time)
    if not first.trace:
        return first.error
    print(first.trace, file=sys.stderr, end="")
    return f"{name} failed: {first.error}"


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL), most often because memory ran out: lower data.batch_size or data.crop"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended early with exit code {code}"


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
