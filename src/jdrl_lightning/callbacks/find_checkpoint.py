"""Finds the checkpoint that a killed run goes on from, and leaves the folder that was made for a new one."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from jdrl_lightning import build
from jdrl_lightning.errors import UserError
from jdrl_lightning.module import CHECKPOINT_KEY

__all__ = ["LeaveFolder", "latest_checkpoint"]

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


class LeaveFolder(Callback):
    """Takes away what this start has put into a folder of its own before it went on in an earlier run's; not before
    every process knows that, since the others would look into a folder that is no more.

    Args:
        folder: the one that was made for this start; it goes if nothing else is in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if not trainer.is_global_zero or not self.folder.is_dir():
            return
        for written in self.folder.glob("train*.log"):
            written.unlink()
        shutil.rmtree(self.folder / ".hydra", ignore_errors=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()
