"""A checkpoint by what a user calls it: a file, ``latest``, the folder or the name of a run or of a sweep."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from jdrl_lightning.errors import UserError, and_more
from jdrl_lightning.io.hub import model_file
from jdrl_lightning.metrics.report import LARGEST_FIRST

__all__ = ["LATEST", "checkpoint_file", "in_run"]

log = logging.getLogger(__name__)

LATEST = "latest"
ROOTS = ("outputs", "multirun")  # where Hydra puts runs and sweeps, below the working directory
EXAMPLE = "<run folder>/checkpoints/last.ckpt"


def checkpoint_file(given: str | Path, wanted: str = "best") -> Path:
    """The file that ``ckpt_path=<given>`` means; says so if that is another path.

    Args:
        given: a file; ``hf:owner/name`` or a folder that ``save_pretrained`` wrote; ``latest``, the newest of all runs;
            or a folder, or its name under ``outputs/`` or ``multirun/``: of a run, of several (the newest counts), or
            of a sweep (the best of its jobs counts).
        wanted: ``best`` or ``last``: which of a run's checkpoints, if it has both.

    Raises:
        UserError: there is no such checkpoint; lists those that are there.
    """
    given = str(given)
    if (file := model_file(given)).is_file():
        return file
    found = [_all_runs()] if given == LATEST else [_runs(folder) for folder in _named(given)]
    runs = next(filter(None, found), [])
    if not runs:
        raise UserError(f"{given}: no such checkpoint; {_known()}")
    best = _best_job(runs) if wanted == "best" and given != LATEST else None
    file = in_run(best or runs[0], wanted)
    log.info("ckpt_path=%s: %s", given, file)
    return file


def in_run(run: Path, wanted: str) -> Path:
    """The checkpoint ``wanted`` (``best``, ``last``) of the folder ``run``, else the newest; it must have one."""
    named = run / "checkpoints" / f"{wanted}.ckpt"
    return named if named.is_file() else max((run / "checkpoints").glob("*.ckpt"), key=_written)


def _named(given: str) -> list[Path]:
    """The folders that ``given`` may stand for, the likeliest first."""
    if Path(given).is_dir() or Path(given).is_absolute() or not given or set(given) & set("*?["):
        return [Path(given)]
    folders = [folder for root in ROOTS for folder in (Path(root, given), *sorted(Path(root).glob(f"*/{given}")))]
    return [folder for folder in folders if folder.is_dir()]


def _runs(folder: Path) -> list[Path]:
    """All folders of runs in ``folder``, itself included, the newest first."""
    newest = {path.parents[1]: _written(path) for path in sorted(folder.rglob("checkpoints/*.ckpt"), key=_written)}
    return sorted(newest, key=lambda run: newest[run], reverse=True)


def _all_runs() -> list[Path]:
    runs = [run for root in ROOTS for run in _runs(Path(root))]
    return sorted(runs, key=lambda run: _written(in_run(run, "last")), reverse=True)


def _best_job(runs: list[Path]) -> Path | None:
    """The job of a sweep with the best value of its ``monitor``, the first metric of each record; None: no sweep."""
    scores: dict[Path, float] = {}
    for run in runs:
        try:
            metrics = json.loads((run / "job.json").read_text(encoding="utf-8"))["metrics"]
            name, value = next(iter(metrics.items()))
            scores[run] = float(value) if name.rpartition("/")[2] in LARGEST_FIRST else -float(value)
        except (OSError, ValueError, TypeError, LookupError, AttributeError, StopIteration):
            continue  # no job, or one without a result
    return max(scores, key=lambda run: scores[run]) if len({run.parent for run in runs}) == 1 and scores else None


def _known() -> str:
    there = [str(in_run(run, "best")) for run in _all_runs()]
    if not there:
        return f"no run under {' or '.join(f'{root}/' for root in ROOTS)} has one; give ckpt_path={EXAMPLE}"
    return f"there are {and_more(there, 5)}; ckpt_path={LATEST} takes the newest"


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns
