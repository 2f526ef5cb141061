"""Which run a training is: its settings, its folder, and the checkpoint that it resumes from, if any."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

from jdrl_lightning import build
from jdrl_lightning.callbacks.find_checkpoint import differences, latest_checkpoint, nearest
from jdrl_lightning.cli.checkpoints import checkpoint_file
from jdrl_lightning.cli.config import config_hash
from jdrl_lightning.cli.run_folder import leave_unused
from jdrl_lightning.errors import and_more
from jdrl_lightning.io.atomic import clear_temporaries
from jdrl_lightning.runtime import distributed
from jdrl_lightning.training import start

__all__ = ["Run", "find_checkpoint", "finished"]

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """What to train, where its files go, and what it resumes from (None: nothing).

    ``started_in`` is the folder made for this start; it differs from ``run_dir`` where an earlier run is resumed.
    """

    config: dict[str, Any]
    run_dir: Path
    started_in: Path
    checkpoint: Path | None
    identity: str


def find_checkpoint(config: dict[str, Any], run_dir: Path) -> Run:
    """Resolve ``ckpt_path`` (None, what names a checkpoint, or ``auto``) and the folder that the training continues in.

    Only with ``auto`` that is the folder of the earlier run.
    """
    identity, started_in = config_hash(config), run_dir
    checkpoint = None
    if config["ckpt_path"] == "auto":
        checkpoint = latest_checkpoint(run_dir, identity, config)
        if checkpoint is None:
            log.info("ckpt_path=auto: %s", _why_from_scratch(config, run_dir))
        elif run_dir not in checkpoint.parents:
            config, run_dir = _continue_in(config, run_dir, checkpoint.parents[1])
    elif config["ckpt_path"]:
        checkpoint = checkpoint_file(config["ckpt_path"], "last")
    if distributed.rank() == 0:
        clear_temporaries(run_dir)
    return Run(config, run_dir, started_in, checkpoint, identity)


def _why_from_scratch(config: dict[str, Any], run_dir: Path) -> str:
    """Why ``auto`` resumes nothing; names the newest run and what it differs in, in case that one was meant."""
    earlier = nearest(run_dir)
    if earlier is None:
        return "no checkpoint to resume from, training from scratch"
    changed = differences(earlier.stored, config)
    how = and_more(changed, 6) if changed else "files of weights, or was started by another version"
    folder = earlier.path.parents[1]
    remedy = f"ckpt_path={folder} resumes it"
    return f"no run with these settings, training from scratch; {folder} differs in {how}: {remedy}"


def finished(run: Run) -> dict[str, float] | None:
    """The metrics of a run that has no epoch left, with a line that says so; None: there is something to train."""
    line = start.complete(run.checkpoint, build.read_checkpoint(run.checkpoint), run.config) if run.checkpoint else None
    if line is None or run.checkpoint is None:
        return None
    log.info(line)
    if distributed.rank() != 0:
        return {}
    leave_unused(run.started_in, "train")
    return start.final_metrics([run.run_dir, run.checkpoint.absolute().parent.parent])


def _continue_in(config: dict[str, Any], fresh: Path, earlier: Path) -> tuple[dict[str, Any], Path]:
    """Write to the earlier run's folder from here on, the log included."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, logging.FileHandler)]:
        moved = logging.FileHandler(earlier / Path(handler.baseFilename).name, delay=handler.delay)
        moved.setFormatter(handler.formatter)
        moved.setLevel(handler.level)
        root.removeHandler(handler)
        root.addHandler(moved)
        handler.close()
    return _replace(config, str(fresh), str(earlier)), earlier


def _replace(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replace(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value
