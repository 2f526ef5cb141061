"""``sweep.csv``: settings, status and metrics of each job of a sweep."""

from __future__ import annotations

import csv
import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from jdrl_lightning.cli.error_messages import USER_ERRORS, error_message
from jdrl_lightning.errors import first_line
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.io.file_lock import exclusive

__all__ = ["recorded"]

log = logging.getLogger(__name__)

RECORD = "job.json"
LOCK = "job.lock"


@contextmanager
def recorded(monitor: str) -> Iterator[dict[str, float]]:
    """In a sweep, record in ``sweep.csv`` how the job inside the block ends; put its final metrics into the dict.

    Each job writes ``job.json`` to its folder and then rewrites the table from all of them, so that jobs may run in
    parallel and a killed sweep has a table. The job locks its folder, since with some launchers the jobs of a killed
    sweep keep running.
    """
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        yield {}
        return
    with exclusive(Path(hydra.runtime.output_dir, LOCK)), _record(monitor, hydra) as metrics:
        yield metrics


@contextmanager
def _record(monitor: str, hydra: Any) -> Iterator[dict[str, float]]:
    metrics, started = dict[str, float](), time.monotonic()
    folder, sweep = Path(hydra.runtime.output_dir), Path(hydra.runtime.cwd, hydra.sweep.dir)
    pairs = (override.lstrip("+~").partition("=") for override in hydra.overrides.task)
    overrides = {key: value for key, _, value in pairs}

    def write(status: str, error: str = "") -> None:
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        record = {
            "job": hydra.job.num,
            "overrides": overrides,
            "status": status,
            "error": error,
            "seconds": round(time.monotonic() - started, 1),
            "metrics": {name: finite.get(name) for name in (monitor, *sorted(metrics))},
            "folder": str(folder),
        }
        with atomic_write(folder / RECORD, "w") as file:
            json.dump(record, file, indent=2)
            file.write("\n")
        _write_table(sweep)
        if status != "running":
            log.info("job %s %s%s; %s", hydra.job.num, status, f": {error}" if error else "", sweep / "sweep.csv")

    write("running")
    try:
        yield metrics
    except Exception as error:
        write("failed", _message(error))
        raise
    except BaseException:  # Ctrl-C
        write("interrupted")
        raise
    write("done")


def _message(error: Exception) -> str:
    if isinstance(error, USER_ERRORS):
        return error_message(error, "train", sys.argv[1:])
    return first_line(error, kind=True)


def _write_table(sweep: Path) -> None:
    """Write the table of all records; repeat if another job has added one meanwhile, whose table may be overwritten."""
    written = None
    while (records := _records(sweep)) != written:
        settings = [key for key in _keys(records, "overrides") if len(records) == 1 or _differs(records, key)]
        metrics = _keys(records, "metrics")
        with atomic_write(sweep / "sweep.csv", "w") as file:
            table = csv.writer(file)
            table.writerow(["job", *settings, "status", "error", "seconds", *metrics, "folder"])
            for record in records:
                values = [record["overrides"].get(key) for key in settings]
                measured = [record["metrics"].get(name) for name in metrics]
                outcome = [record["status"], record["error"], record["seconds"]]
                table.writerow([record["job"], *values, *outcome, *measured, record["folder"]])
        written = records


def _records(sweep: Path) -> list[dict[str, Any]]:
    return sorted((json.loads(path.read_text()) for path in sweep.rglob(RECORD)), key=lambda record: record["job"])


def _keys(records: list[dict[str, Any]], part: str) -> list[str]:
    """All names in ``part`` of the records, in order of first appearance."""
    return list(dict.fromkeys(name for record in records for name in record[part]))


def _differs(records: list[dict[str, Any]], key: str) -> bool:
    return len({record["overrides"].get(key) for record in records}) > 1
