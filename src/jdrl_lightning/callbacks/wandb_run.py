"""The W&B run of a training: its name and config, and resuming it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import WandbLogger

from jdrl_lightning import __version__, build
from jdrl_lightning.callbacks.summary import git_revision
from jdrl_lightning.cli.config import config_hash
from jdrl_lightning.errors import UserError

__all__ = ["WandbRun", "finish", "identified", "wandb_of"]

KEY = "wandb_run_id"


def identified(
    loggers: Mapping[str, Any] | None, checkpoint: str | Path | None, run_dir: Path
) -> dict[str, dict[str, Any]]:
    """The config group ``loggers`` with W&B's run identified, unless the user has set the same keys.

    The name is that of ``run_dir``, the group that of the sweep, and the id that of the run that wrote ``checkpoint``.
    A job of a sweep resumes only its own run: with another run's checkpoint it starts a new one. A run id in the
    environment (``WANDB_RUN_ID``, set by W&B's agents) takes precedence.

    Raises:
        UserError: the id stored in the checkpoint is invalid.
    """
    completed = {name: dict(logger) for name, logger in (loggers or {}).items() if logger}
    for logger in completed.values():
        if str(logger.get("_target_")).rpartition(".")[2] not in ("wandb_logger", "WandbLogger"):
            continue
        found: dict[str, Any] = {"name": "/".join(run_dir.absolute().parts[-2:])}
        sweep = _sweep()
        if sweep:
            found["group"] = sweep
        preset = "WANDB_RUN_ID" in os.environ
        if checkpoint and not preset and (not sweep or run_dir.absolute() in Path(checkpoint).absolute().parents):
            found["id"] = _stored_id(Path(checkpoint))
        logger |= {key: value for key, value in found.items() if value and not logger.get(key)}
    return completed


def wandb_of(trainer: L.Trainer) -> WandbLogger | None:
    """The trainer's W&B logger, on rank 0 only."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
    return loggers[0] if loggers and trainer.is_global_zero else None


def finish(trainer: L.Trainer) -> None:
    """Finish the W&B run, if any, as failed if the training did. W&B is torn down, since the next job of a sweep is a
    new run."""
    if wandb_of(trainer) is not None:
        import wandb

        wandb.finish(exit_code=0 if trainer.state.finished else 1)
        wandb.teardown()


class WandbRun(Callback):
    """Logs the whole config and the git revision to the W&B run, and stores the run's id in the checkpoints.

    Args:
        config: of the training, as plain types.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        logger = wandb_of(trainer)
        if logger is not None:
            about = {"hash": config_hash(dict(self.config)), "git_revision": git_revision(), "version": __version__}
            logger.log_hyperparams({**self.config, "jdrl_lightning": about})

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        logger = wandb_of(trainer)
        if logger is not None and logger.version:
            checkpoint[KEY] = logger.version


def _sweep() -> str | None:
    """Name of this process's sweep, the last two parts of its folder; None outside a sweep."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    return "/".join(Path(HydraConfig.get().sweep.dir).parts[-2:])


def _stored_id(checkpoint: Path) -> str | None:
    found = build.read_checkpoint(checkpoint).get(KEY)
    if found is not None and not (isinstance(found, str) and re.fullmatch(r"[\w-]{1,64}", found)):
        raise UserError(f"{checkpoint}: {KEY} is not a valid W&B run id; set logger.wandb.id=<id> or logger=csv")
    return found
