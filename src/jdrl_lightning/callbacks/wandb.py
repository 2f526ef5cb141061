"""The W&B logger: online where there is a key, offline otherwise, and saying which."""

from __future__ import annotations

import logging
import netrc
import os
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

__all__ = ["wandb_logger"]

log = logging.getLogger(__name__)


def wandb_logger(save_dir: str, offline: bool | None = None, **settings: Any) -> WandbLogger:
    """A Lightning logger that writes under ``save_dir``.

    Args:
        save_dir: the run folder.
        offline: None decides by itself: offline unless a key is set, so that a run never stops to ask for one.
        settings: further arguments of :class:`lightning.pytorch.loggers.WandbLogger` (``project``, ``name``, ``tags``).
    """
    if offline is None:
        offline = not _has_key()
        if offline:
            log.info("W&B: no key set, so the run is kept offline; send it later with: wandb sync %s/wandb/*", save_dir)
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    return WandbLogger(save_dir=save_dir, offline=offline, **settings)


def _has_key() -> bool:
    if os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
