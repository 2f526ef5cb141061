"""This process's rank, its launcher, and the number of requested devices. Imports torch only to count GPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

__all__ = ["allowed_cores", "launched_by", "rank", "requested_devices", "threads_of_rank"]

RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # set by torchrun, our launcher, srun; the first found counts


def launched_by() -> str | None:
    """The launcher that started this process as one of several: ``torchrun``, ``srun`` or None."""
    if "LOCAL_RANK" in os.environ:
        return "torchrun"
    several = int(os.environ.get("SLURM_NTASKS", "1")) > 1
    return "srun" if several and "SLURM_STEP_ID" in os.environ else None  # in the batch script itself there is no step


def rank() -> int:
    """The global rank of this process; 0 if it is the only one."""
    return int(next((os.environ[key] for key in RANK_VARIABLES if key in os.environ), "0"))


def requested_devices(trainer: Mapping[str, Any]) -> int:
    """The number of devices requested on this machine; 1 for an invalid value, which Lightning then refuses."""
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


def threads_of_rank(ranks: int, pooled: bool) -> int:
    """Threads for each of ``ranks`` processes that compute on this machine's cores: an equal share of them.

    OMP_NUM_THREADS counts as it is if a person has set it; in a worker of a pool (``pooled``) joblib has set it to the
    job's share of the cores.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and not pooled:
        return int(given)
    return max(1, (int(given) if given.isdigit() else allowed_cores()) // ranks)


def allowed_cores() -> int:
    """The number of cores this process may use; taskset, containers and Slurm grant fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
