"""One process of a training: it is handed a job, does it, and says how it ended."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from omegaconf import OmegaConf

from jdrl_lightning.errors import UserError, first_line
from jdrl_lightning.runtime.distributed import rank
from jdrl_lightning.runtime.preemption import requeueing

__all__ = ["Job", "Report", "work"]

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """What a rank is handed: plain types, with nothing left to resolve (a second clock would be read)."""

    config: dict[str, Any]
    run_dir: Path
    hydra: dict[str, Any]  # of Hydra's own configuration, what is known in a job


class Report(NamedTuple):
    """What a rank says at its end: metrics, or what went wrong (``trace`` is empty for a user's mistake), or the exit
    code that it wants."""

    time: float
    metrics: dict[str, float]
    error: str = ""
    trace: str = ""
    exit: int = 0


def work(job: Job) -> dict[str, float]:
    """Train in this process; a rank that is not the first keeps off the console."""
    if number := rank():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        configure_log(OmegaConf.create(_apart(job.hydra["job_logging"], number)))
        logging.captureWarnings(True)
    with requeueing():
        from jdrl_lightning.training.fit import fit

        return fit(job.config, job.run_dir)


def _apart(logs: dict[str, Any], number: int) -> dict[str, Any]:
    """The logging of a rank that is not the first: warnings only, in a file of its own, if there are any."""
    files = {}
    for name, handler in logs["handlers"].items():
        if "filename" in handler:
            path = Path(handler["filename"])
            own = {"filename": str(path.with_stem(f"{path.stem}_rank_{number}")), "delay": True, "level": "WARNING"}
            files[name] = handler | own
    return logs | {"handlers": files, "root": logs["root"] | {"handlers": list(files)}}


def _serve() -> None:
    """Be a rank of the process that holds the other end of the standard input."""
    line = Connection(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    job = Job(*line.recv())
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    HydraConfig.instance().cfg = OmegaConf.create({"hydra": job.hydra})  # type: ignore[assignment]
    configure_log(OmegaConf.create(job.hydra["job_logging"]), job.hydra["verbose"])
    try:
        report = Report(time.time(), work(job))
    except UserError as error:
        report = Report(time.time(), {}, str(error))
    except SystemExit as ending:  # Lightning's after a signal has no code
        report = Report(time.time(), {}, exit=ending.code if isinstance(ending.code, int) and ending.code else 1)
    except BaseException as error:
        report = Report(time.time(), {}, first_line(error, kind=True), traceback.format_exc())
        root = logging.getLogger()  # its log keeps it; the console shows the first rank's to fail alone
        root.handlers = [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]
        log.error("%s", report.trace)
    line.send(tuple(report))  # plain types: this module has another name here
    sys.exit(report.exit or bool(report.error))


def _end_with(line: Connection) -> None:
    """End at once when the other end is gone: nobody would end this process otherwise, were it to wait for a rank."""
    line.poll(None)
    os._exit(1)


if __name__ == "__main__":
    _serve()
