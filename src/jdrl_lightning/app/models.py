"""The networks that the page offers, by name: the shipped one, the runs' checkpoints, published weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from jdrl_lightning import build
from jdrl_lightning.app.run_list import headline, runs
from jdrl_lightning.app.settings import Settings
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.cli.checkpoints import in_run
from jdrl_lightning.errors import UserError
from jdrl_lightning.inference.network import ready

__all__ = ["SHIPPED", "Model", "choices", "model"]

SHIPPED = "shipped"
KEPT = 3  # networks in memory


class Model(NamedTuple):
    """A network, and the function that restores with it."""

    backbone: Backbone
    network: Callable[[Tensor], Tensor]


def choices(settings: Settings) -> list[tuple[str, str]]:
    """What the page lists and what it means: ``shipped``, ``run <folder>``, ``weights <option>``."""
    found = [(f"shipped network ({build.SHIPPED['name']})", SHIPPED)]
    for name, folder in runs(settings.runs).items():
        if any((folder / "checkpoints").glob("*.ckpt")):
            found.append((" · ".join(filter(None, (name, headline(folder)))), f"run {name}"))
    return found + [
        (f"{Path(network['weights']).name} ({option})", f"weights {option}")
        for option, network in settings.weights.items()
    ]


def model(chosen: str, settings: Settings) -> Model:
    """The network that ``chosen``, one of :func:`choices`, means.

    Raises:
        UserError: it is none of them, or cannot be loaded.
    """
    kind, _, name = chosen.partition(" ")
    if chosen == SHIPPED:
        return _loaded(settings.device, None, 0)
    if kind == "weights" and name in settings.weights:
        return _published(settings.device, json.dumps(settings.weights[name]))
    if kind == "run" and name in (there := runs(settings.runs)):
        if not any((there[name] / "checkpoints").glob("*.ckpt")):
            raise UserError(f"{name}: has no checkpoint yet")
        file = in_run(there[name], "best")
        return _loaded(settings.device, file, file.stat().st_mtime_ns)
    raise UserError(f"{chosen}: no such network; reload the page for those there are")


@lru_cache(KEPT)
def _loaded(device: str, file: Path | None, written: int) -> Model:
    """``written`` is there so that a checkpoint that is written again is read again."""
    backbone = build.backbone(build.SHIPPED) if file is None else build.backbone_from_checkpoint(file)
    backbone = backbone.to(build.device(device))
    return Model(backbone, ready(backbone))


@lru_cache(KEPT)
def _published(device: str, network: str) -> Model:
    backbone = build.backbone(json.loads(network)).to(build.device(device))
    return Model(backbone, ready(backbone))
