"""What a training starts from: nothing, weights, or a checkpoint, which may be that of a finished run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import nn

from jdrl_lightning.backbones.checkpoints import BUILTIN
from jdrl_lightning.callbacks.find_checkpoint import differences
from jdrl_lightning.errors import and_more
from jdrl_lightning.module import CHECKPOINT_KEY
from jdrl_lightning.runtime.distributed import allowed_cores

__all__ = [
    "complete", "crowded", "epochs_done", "final_metrics", "first_weights", "placed", "resumed", "sizes",
    "started_from",
]  # fmt: skip


def first_weights(backbone: Mapping[str, Any]) -> str | None:
    """The file of first weights that the settings of a network name, for it or for the network that it guides."""
    named = backbone.get("weights") or backbone.get("path")  # path: spandrel's network with its weights
    of = backbone.get("of")
    return named or (first_weights(of) if isinstance(of, Mapping) else None)


def started_from(backbone: Mapping[str, Any]) -> str:
    """Where the first weights of the network with these settings come from, in words."""
    weights = first_weights(backbone)
    if not weights:
        return "from scratch"
    return "from the weights that come with the package" if weights == BUILTIN else f"from the weights of {weights}"


def placed(trainer: L.Trainer) -> str:
    """One line on the device, the number of processes and the precision."""
    device, count, cores = trainer.strategy.root_device, trainer.world_size, allowed_cores()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type.upper()}, {cores} cores"
    return f"device: {name}; {count} process{'es' if count > 1 else ''}; precision {trainer.precision}"


def sizes(module: nn.Module) -> str:
    """The number of trained parameters of each part, in words."""
    counts = {
        name: sum(p.numel() for p in part.parameters() if p.requires_grad) for name, part in module.named_children()
    }
    return ", ".join(f"{name} {count / 1e6:.3g} million" for name, count in counts.items() if count)


def crowded(device: torch.device, processes: int, cores: int) -> str | None:
    """A warning if more processes of this machine compute on the CPU than it has cores; else None."""
    if device.type != "cpu" or processes <= cores:
        return None
    return f"{processes} processes share {cores} cores without a GPU, which is slower than trainer.devices={cores}"


def epochs_done(checkpoint: Mapping[str, Any]) -> int:
    """The number of epochs that a checkpoint of a training has completed; 0 if it does not say."""
    try:
        done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    except (LookupError, TypeError):
        return 0
    return done if isinstance(done, int) else 0


def resumed(path: Path, checkpoint: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """One line: which checkpoint, how far it is, and which settings are others now."""
    done, changed = epochs_done(checkpoint), differences(checkpoint[CHECKPOINT_KEY]["config"], config)
    line = f"resuming from {path}, {done} of {config['trainer'].get('max_epochs')} epochs done"
    return line + (f"; changed since: {and_more(changed, 6)}" if changed else "")


def complete(path: Path, checkpoint: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """One line if there is no epoch left to train, else None."""
    done, asked = epochs_done(checkpoint), config["trainer"].get("max_epochs")
    if not done or done != asked:  # with fewer epochs asked for than done, Lightning refuses
        return None
    return f"complete: {path} has all {done} epochs; train on with trainer.max_epochs=<more than {done}>"


def final_metrics(folders: list[Path]) -> dict[str, float]:
    """The metrics of the first of these runs that has finished; empty if none has."""
    for folder in folders:
        if (folder / "summary.json").is_file():
            stored = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]
            return {name: math.nan if value is None else float(value) for name, value in stored.items()}
    return {}
