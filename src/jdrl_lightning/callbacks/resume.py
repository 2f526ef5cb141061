"""Finds the checkpoint that a killed run goes on from."""

from __future__ import annotations

import logging
from pathlib import Path

from jdrl_lightning import build
from jdrl_lightning.errors import UserError
from jdrl_lightning.module import CHECKPOINT_KEY

__all__ = ["latest_checkpoint"]

log = logging.getLogger(__name__)


def latest_checkpoint(run_dir: Path, config_hash: str) -> Path | None:
    """The newest readable checkpoint of this run folder, else of its neighbours' runs with the same ``config_hash``.

    Neighbours count only while the folder is as a start makes it: one that holds anything else is a run, or somebody's,
    and stays what it is. A file that cannot be read is skipped, saying so. None if there is nothing to go on from.
    """
    fresh = not run_dir.exists() or all(path.name == ".hydra" or path.suffix == ".log" for path in run_dir.iterdir())
    neighbours = run_dir.parent.glob("*/checkpoints/*.ckpt") if fresh else ()
    for candidates in (run_dir.glob("checkpoints/*.ckpt"), neighbours):
        for path in sorted(candidates, key=lambda p: p.stat().st_mtime_ns, reverse=True):
            try:
                stored = build.read_checkpoint(path)[CHECKPOINT_KEY]["config"]
            except UserError as error:
                log.warning("skipped: %s", error)
                continue
            if stored.get("hash") == config_hash:
                return path
    return None
