"""A launched rank: its process, and the pipe through which it gets its job and returns its report."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing import Pipe

from jdrl_lightning.runtime.distributed import threads_of_rank
from jdrl_lightning.training.worker import Job, Report

__all__ = ["Rank", "exit_reason"]

PLACEMENT = ("SLURM_", "RANK", "WORLD_SIZE", "GROUP_RANK", "NODE_RANK")  # prefixes of variables not passed to ranks


class Rank:
    """A launched process. ``exit_code`` and ``report`` are None until known."""

    def __init__(self, number: int, count: int, port: int, job: Job) -> None:
        self.name = f"rank {number} of {count}" if count > 1 else "the training"
        self.pipe, stdin = Pipe()  # as its standard input, so that it sees when this process dies, however that happens
        environment = {key: value for key, value in os.environ.items() if not key.startswith(PLACEMENT)}
        environment |= {"LOCAL_RANK": str(number), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        environment["OMP_NUM_THREADS"] = str(threads_of_rank(count, multiprocessing.parent_process() is not None))
        # Without it DDP advises against find_unused_parameters in stages that use all parameters; other stages need it.
        environment.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        command = [sys.executable, "-P", "-m", "jdrl_lightning.training.worker"]
        self.process = subprocess.Popen(command, env=environment, stdin=stdin.fileno())
        stdin.close()
        self.pipe.send(tuple(job))
        self.exit_code: int | None = None
        self.report: Report | None = None

    def poll(self) -> None:
        """Update ``exit_code``, then ``report``: a rank sends its report before it exits."""
        self.exit_code = self.process.poll()
        try:
            if self.report is None and self.pipe.poll():
                self.report = Report(*self.pipe.recv())
        except (EOFError, ConnectionResetError):
            pass

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.pipe.close()


def exit_reason(code: int) -> str:
    """How a rank with this exit code ended, for messages: ``rank 1 of 2 <reason>``."""
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL), usually because memory ran out: lower data.batch_size or data.crop"
    return f"was terminated by {signal.Signals(-code).name}" if code < 0 else f"exited early with code {code}"
