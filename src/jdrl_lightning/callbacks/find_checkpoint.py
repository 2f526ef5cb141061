"""Finds the checkpoint that ``auto`` resumes, and says what a training and a checkpoint differ in."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
from lightning.pytorch.callbacks import Callback

from jdrl_lightning import build
from jdrl_lightning.cli.config import NOT_IDENTITY
from jdrl_lightning.cli.config import config_hash as hash_of
from jdrl_lightning.cli.run_folder import is_fresh, leave
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import CHECKPOINT_KEY

__all__ = ["LeaveFolder", "differences", "latest_checkpoint", "nearest"]

log = logging.getLogger(__name__)


class Earlier(NamedTuple):
    """A checkpoint and the settings that it stores."""

    path: Path
    stored: Mapping[str, Any]


def latest_checkpoint(run_dir: Path, config_hash: str, config: Mapping[str, Any] | None = None) -> Path | None:
    """The newest readable checkpoint with this ``config_hash``, in this run folder or else in its siblings.

    Siblings are searched only if the folder is empty except for Hydra's files and the log; otherwise it is a run of its
    own. Unreadable files are skipped with a warning. None if there is nothing to resume from.

    Args:
        config: that of the hash; if given, a training that was planned shorter or longer is the same too.
    """
    for earlier in _earlier(run_dir):
        if earlier.stored.get("hash") in {config_hash, *_same_but_for_length(config, earlier.stored)}:
            return earlier.path
    return None


def nearest(run_dir: Path) -> Earlier | None:
    """The newest checkpoint where :func:`latest_checkpoint` looks, whatever its settings are."""
    return next(_earlier(run_dir, warn=False), None)


def _earlier(run_dir: Path, warn: bool = True) -> Iterator[Earlier]:
    siblings = run_dir.parent.glob("*/checkpoints/*.ckpt") if is_fresh(run_dir) else ()
    for candidates in (run_dir.glob("checkpoints/*.ckpt"), siblings):
        for path in sorted(candidates, key=lambda p: p.stat().st_mtime_ns, reverse=True):
            try:
                yield Earlier(path, build.read_checkpoint(path)[CHECKPOINT_KEY]["config"])
            except UserError as error:
                if warn:
                    log.warning("skipped: %s", error)


def _same_but_for_length(config: Mapping[str, Any] | None, stored: Mapping[str, Any]) -> Iterator[str]:
    """The hash of ``config`` as if its learning rate were planned for as many epochs as that of ``stored``."""
    for length in _lengths(stored):
        if config is not None and _lengths(config):
            optim = config["optim"]
            scheduler = {**optim["scheduler"], "epochs": length}
            yield hash_of({**config, "optim": {**optim, "scheduler": scheduler}})


def _lengths(config: Mapping[str, Any]) -> list[int]:
    scheduler = (config.get("optim") or {}).get("scheduler")
    return [scheduler["epochs"]] if isinstance(scheduler, Mapping) and "epochs" in scheduler else []


def differences(stored: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """``key earlier → now`` for the settings in which a checkpoint's training and that of ``config`` differ.

    Files of first weights are not compared: a checkpoint does not store them.
    """
    before, now = (dict(_dotted(settings)) for settings in (stored, build.stored_settings(config)))
    keys = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    return [f"{key} {before.get(key)} → {now.get(key)}" for key in keys if not key.endswith("weights")]


def _dotted(settings: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names and values of what tells trainings apart; ``flow`` is in ``objective.flow`` too."""
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            if f"{key}{name}" not in ("hash", "flow", *(f"data.{option}" for option in NOT_IDENTITY)):
                yield from _dotted(value, f"{key}{name}.")
    else:
        yield key.removesuffix("."), list(settings) if isinstance(settings, tuple) else settings


class LeaveFolder(Callback):
    """After resuming elsewhere, deletes the unused run folder once all ranks have switched.

    Args:
        folder: created for this start; deleted if it has nothing but Hydra's files and the log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if trainer.is_global_zero:
            leave(self.folder, "train")
