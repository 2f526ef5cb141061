"""One process (rank) of a training: receives a job, trains, and reports how it ended."""

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
    """What a rank trains, as plain types with every interpolation resolved (``${now:}`` would give each its own)."""

    config: dict[str, Any]
    run_dir: Path
    hydra: dict[str, Any]  # Hydra's own configuration, without what only its command line needs


class Report(NamedTuple):
    """How a rank ended: with metrics, an error (``trace`` is empty for a user error), or a requested exit code.

    ``time`` is the end in seconds since the epoch, by which the launcher finds the first failure.
    """

    time: float
    metrics: dict[str, float]
    error: str = ""
    trace: str = ""
    exit: int = 0


def work(job: Job) -> dict[str, float]:
    """Train in this process; only rank 0 writes to the console."""
    if number := rank():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        configure_log(OmegaConf.create(_rank_logging(job.hydra["job_logging"], number)))
        logging.captureWarnings(True)
    with requeueing():
        from jdrl_lightning.training.fit import fit

        return fit(job.config, job.run_dir)


def _rank_logging(logs: dict[str, Any], number: int) -> dict[str, Any]:
    """The logging config of a rank other than 0: warnings only, to ``<name>_rank_<number>``, created when needed."""
    files = {}
    for name, handler in logs["handlers"].items():
        if "filename" in handler:
            path = Path(handler["filename"])
            own = {"filename": str(path.with_stem(f"{path.stem}_rank_{number}")), "delay": True, "level": "WARNING"}
            files[name] = handler | own
    return logs | {"handlers": files, "root": logs["root"] | {"handlers": list(files)}}


def main() -> None:
    """Run the job that the launcher sends over standard input, and send back the report."""
    pipe = Connection(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    job = Job(*pipe.recv())
    threading.Thread(target=_exit_with_launcher, args=(pipe,), daemon=True).start()
    HydraConfig.instance().cfg = OmegaConf.create({"hydra": job.hydra})  # type: ignore[assignment]
    configure_log(OmegaConf.create(job.hydra["job_logging"]), job.hydra["verbose"])
    report = _run(job)
    pipe.send(tuple(report))  # not the class itself, which belongs to __main__ here
    sys.exit(report.exit or bool(report.error))


def _run(job: Job) -> Report:
    """Train, and turn whatever ends the training into a report."""
    try:
        metrics = work(job)
        return Report(time.time(), metrics)
    except UserError as error:
        return Report(time.time(), {}, str(error))
    except SystemExit as error:  # after a signal Lightning raises it without a code
        return Report(time.time(), {}, exit=error.code if isinstance(error.code, int) and error.code else 1)
    except BaseException as error:
        report = Report(time.time(), {}, first_line(error, kind=True), traceback.format_exc())
        root = logging.getLogger()  # to the log file only: the launcher prints the trace of the first rank that failed
        root.handlers = [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]
        log.error("%s", report.trace)
        return report


def _exit_with_launcher(pipe: Connection) -> None:
    """Exit at once when the launcher has died; a rank that waits for a lost peer would otherwise never exit."""
    pipe.poll(None)
    os._exit(1)


if __name__ == "__main__":
    main()
