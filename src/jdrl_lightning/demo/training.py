"""The demonstration's trainings: as many in parallel as there are cores, each with its own progress bar."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from jdrl_lightning.demo.comparison import train_row
from jdrl_lightning.errors import UserError
from jdrl_lightning.runtime.distributed import allowed_cores

__all__ = ["Trained", "side_by_side", "train_rows"]

LOOK_EVERY_S = 0.5
QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


class Trained(NamedTuple):
    """What a training returns: its seconds, and the validation curve (step, PSNR in dB)."""

    seconds: float
    curve: list[tuple[int, float]]


def side_by_side(rows: int) -> tuple[int, int]:
    """How many of ``rows`` trainings run at once, and the threads of each; small networks gain little from more."""
    cores = allowed_cores()
    together = min(rows, cores)
    return together, cores // together


def train_rows(configs: Mapping[str, dict[str, Any]], folder: Path) -> Iterator[tuple[str, Trained]]:
    """Train each config in ``folder/<name>``, starting in order; yields each as it completes.

    Raises:
        UserError: the first one that a training raises; or a training was killed.
    """
    together, threads = side_by_side(len(configs))
    others = set(active_children())
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with (
        Progress(*columns) as progress,
        # Not forked: a fork would inherit torch's threads.
        ProcessPoolExecutor(together, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool,
    ):
        bars = {name: progress.add_task(f"{name:16}", total=1.0, start=False) for name in configs}
        running: dict[Future[Trained], str] = {}
        for name, config in configs.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            shown = {"_target_": "jdrl_lightning.callbacks.progress.ProgressFile", "path": str(_file(folder, name))}
            reporting = config | {
                "callbacks": config["callbacks"] | {"progress": shown},
                "trainer": config["trainer"] | QUIET,
            }
            running[pool.submit(_train, reporting, folder / name, threads)] = name
        try:
            while running:
                for future in wait(running, LOOK_EVERY_S, FIRST_COMPLETED).done:
                    name = running.pop(future)
                    result = future.result()
                    progress.update(bars[name], completed=1.0)
                    progress.stop_task(bars[name])
                    _file(folder, name).unlink(missing_ok=True)
                    yield name, result
                for name in running.values():
                    if share := _share(_file(folder, name)):
                        progress.start_task(bars[name])
                        progress.update(bars[name], completed=share)
        except BrokenProcessPool:
            raise UserError("a training was killed, most often because memory ran out") from None
        finally:  # after a failure, do not wait for the others
            for training in set(active_children()) - others if running else ():
                training.kill()  # on SIGTERM it could block on the result queue that another one holds


def _train(config: dict[str, Any], run_dir: Path, threads: int) -> Trained:
    import torch

    torch.set_num_threads(threads)
    logging.getLogger("jdrl_lightning").setLevel(logging.WARNING)
    _, seconds, curve = train_row(config, run_dir)
    return Trained(seconds, curve)


def _end_with_parent() -> None:
    """Exit when the demonstration dies, so that it leaves no trainings behind."""

    def watch() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _file(folder: Path, name: str) -> Path:
    return folder / name / "progress"


def _share(file: Path) -> float:
    try:
        return float(file.read_text() or 0)
    except FileNotFoundError:
        return 0.0
