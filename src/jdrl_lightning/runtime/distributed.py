"""Which process this is among those of a training, and how many are asked for. Imports torch only to count GPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

__all__ = ["allowed_cores", "launched_by", "rank", "requested_devices"]

NUMBERS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # the first that is set: torchrun's, ours, srun's


def launched_by() -> str | None:
    """What has started this process as one of several: ``torchrun``, ``srun`` or None."""
    if "LOCAL_RANK" in os.environ:
        return "torchrun"
    several = int(os.environ.get("SLURM_NTASKS", "1")) > 1
    return "srun" if several and "SLURM_STEP_ID" in os.environ else None  # a batch script alone has no step


def rank() -> int:
    """The number of this process; the first is 0, and so is one that trains alone."""
    return int(next((os.environ[key] for key in NUMBERS if key in os.environ), "0"))


def requested_devices(trainer: Mapping[str, Any]) -> int:
    """How many devices of this machine the settings ask for; what is no number is left to Lightning to refuse."""
    asked, accelerator = trainer.get("devices", 1), trainer.get("accelerator", "auto")
    if asked in ("auto", -1, "-1"):
        if accelerator not in ("auto", "gpu", "cuda"):
            return 1
        import torch

        return max(1, torch.cuda.device_count())
    if isinstance(asked, str) and "," in asked:
        asked = [part for part in asked.split(",") if part.strip()]
    try:
        return len(asked) if isinstance(asked, list) else int(asked)
    except (TypeError, ValueError):
        return 1


def allowed_cores() -> int:
    """Of this machine's, those that this process may use (taskset, containers and Slurm grant fewer)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
