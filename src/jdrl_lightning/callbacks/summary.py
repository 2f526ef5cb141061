"""``summary.json``: the results of a run."""

from __future__ import annotations

import json
import math
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from jdrl_lightning import __version__
from jdrl_lightning.io.atomic import atomic_write

__all__ = ["SummaryCallback", "git_revision", "peak_memory_mib"]


class SummaryCallback(Callback):
    """Writes the final metrics, seconds, peak memory, world size, versions, git revision and config hash.

    Args:
        path: the file.
        config_hash: see :func:`jdrl_lightning.cli.config.config_hash`.
    """

    def __init__(self, path: str | Path, config_hash: str) -> None:
        self.path, self.config_hash = Path(path), config_hash
        self._seconds_before = 0.0
        self._started = time.monotonic()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.monotonic()

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero or (not metrics and self.path.is_file()):  # the run was complete already
            return
        summary: dict[str, Any] = {
            "metrics": {name: value if math.isfinite(value) else None for name, value in sorted(metrics.items())},
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "seconds": round(self._seconds(), 2),
            "peak_memory_mib": round(peak_memory_mib(pl_module.device)),
            "world_size": trainer.world_size,
            "device": torch.cuda.get_device_name(pl_module.device) if pl_module.device.type == "cuda" else "cpu",
            "parameters": _count(pl_module.backbone),
            "config_hash": self.config_hash,
            "git_revision": git_revision(),
            "versions": {
                "jdrl_lightning": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "lightning", "hydra-core", "kornia")},
            },
        }
        with atomic_write(self.path, "w") as file:
            json.dump(summary, file, indent=2)
            file.write("\n")

    def metrics(self) -> dict[str, float]:
        """The metrics in the file, also if a complete run is resumed, which measures none."""
        stored = json.loads(self.path.read_text(encoding="utf-8"))["metrics"]
        return {name: math.nan if value is None else float(value) for name, value in stored.items()}

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._seconds_before = float(state_dict["seconds"])


def _count(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def peak_memory_mib(device: torch.device) -> float:
    """Peak memory of this process so far: GPU memory, or main memory on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def git_revision() -> str | None:
    """The revision of the checkout this package runs from; None for an installed package."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None
