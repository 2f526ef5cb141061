"""Networks as methods: a checkpoint of a training, or published weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jdrl_lightning import build
from jdrl_lightning.backbones.base import Backbone, input_of
from jdrl_lightning.cli.checkpoints import checkpoint_file
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.methods import Method
from jdrl_lightning.inference import ready
from jdrl_lightning.inference.tiles import check_tiles, restore
from jdrl_lightning.io.weights import CHECKPOINT_KEY
from jdrl_lightning.types import Pair

__all__ = ["checkpoint", "weights"]

AVERAGED = "current_model_state"  # where Lightning's weight averaging keeps the raw weights, next to the averaged ones


def checkpoint(config: Mapping[str, Any], device: torch.device) -> Method:
    """The final output of the network in ``config["ckpt_path"]``."""
    path = checkpoint_file(config["ckpt_path"])
    content = build.read_checkpoint(path)
    backbone = build.stored_backbone(content, path)
    stored = content[CHECKPOINT_KEY]["config"]
    note = f"Checkpoint {path}: backbone={stored['backbone']['name']}, " + (
        "averaged weights (EMA); the raw ones that it holds too were not used."
        if AVERAGED in content
        else "weights as trained, the file holds no average of them."
    )
    network = _in_tiles(backbone.to(device), config)
    return Method(_run_name(path), network, (note, _padding(backbone.divisor, config)), stored)


def weights(config: Mapping[str, Any], device: torch.device) -> Method:
    """The network ``config["backbone"]`` with the weights of a file."""
    settings = config["backbone"]
    file = settings.get("weights") or settings.get("path")
    if not file:
        raise UserError(f"method=weights needs backbone.weights=<file>: without it {settings['name']} is untrained")
    backbone = build.backbone(settings)
    note = f"Weights {file}: backbone={settings['name']}; licence: {backbone.licence}."
    network = _in_tiles(backbone.to(device), config)
    return Method(settings["name"], network, (note, _padding(backbone.divisor, config)))


def _in_tiles(backbone: Backbone, config: Mapping[str, Any]) -> Callable[[Pair], Tensor]:
    tile, overlap = config["tile"], config["overlap"]
    check_tiles(tile, overlap, backbone.divisor)
    network = ready(backbone)

    def restored(pair: Pair) -> Tensor:
        with torch.inference_mode():
            return restore(network, input_of(pair, backbone), tile=tile, overlap=overlap, divisor=backbone.divisor)

    return restored


def _padding(divisor: int, config: Mapping[str, Any]) -> str:
    return (
        f"Images are extended by reflection to multiples of {divisor} px for the network and cut back; those longer "
        f"than {config['tile']} px are restored in tiles that share at least {config['overlap']} px."
    )


def _run_name(path: Path) -> str:
    """``run/checkpoints/best.ckpt`` is named after its run."""
    path = path.absolute()
    return path.parents[1].name if path.parent.name == "checkpoints" else path.stem
