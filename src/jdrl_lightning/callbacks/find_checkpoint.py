"""Finds the checkpoint to resume from, and deletes the unused folder of the new start."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from jdrl_lightning import build
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import CHECKPOINT_KEY

__all__ = ["LeaveFolder", "latest_checkpoint"]

log = logging.getLogger(__name__)


def latest_checkpoint(run_dir: Path, config_hash: str) -> Path | None:
    """The newest readable checkpoint with this ``config_hash``, in this run folder or else in its siblings.

    Siblings are searched only if the folder is empty except for Hydra's files and the log; otherwise it is a run of its
    own. Unreadable files are skipped with a warning. None if there is nothing to resume from.
    """
    fresh = not run_dir.exists() or all(path.name == ".hydra" or path.suffix == ".log" for path in run_dir.iterdir())
    siblings = run_dir.parent.glob("*/checkpoints/*.ckpt") if fresh else ()
    for candidates in (run_dir.glob("checkpoints/*.ckpt"), siblings):
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
    """After resuming elsewhere, deletes the unused run folder once all ranks have switched.

    Args:
        folder: created for this start; deleted if it has nothing but Hydra's files and the log.
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
