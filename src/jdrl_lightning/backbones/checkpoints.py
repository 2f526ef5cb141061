"""Weights from files: our own checkpoints and the layouts in which others publish theirs. Files are not trusted."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.io.weights import fill, read_weights, unwrap

__all__ = ["LoadedWeights", "load_weights"]

log = logging.getLogger(__name__)


class LoadedWeights(NamedTuple):
    """What was loaded: the file's layout (``lightning``: our checkpoint, a wrapper's key, ``bare``, or ``foreign``),
    the number of tensors, and the terms of the published weights (None for our own checkpoints)."""

    layout: str
    n_tensors: int
    licence: str | None


def load_weights(backbone: Backbone, path: str | os.PathLike[str]) -> LoadedWeights:
    """Fill a backbone's network from a file; every tensor must be there and fit, or nothing is changed.

    Read are our own checkpoints (keys ``backbone.network.*``), a state dict under ``G_state_dict`` (JDRL),
    ``state_dict``, ``params_ema`` or ``params``, and a bare one, each with or without ``module.`` (and IFAN's
    ``Network.``) before its keys; as PyTorch files, or as safetensors if the file is called so; and whatever formats
    the backbone reads itself. Code in a file is never run. The terms of published weights are logged.

    Args:
        backbone: changed in place.
        path: the file.

    Raises:
        UserError: the file is missing, unreadable, holds pickled code, or does not fit; the message names the keys.
    """
    file = Path(path)
    foreign = backbone.read_foreign(file) if backbone.read_foreign and file.exists() else None
    layout, state = unwrap(read_weights(file), file) if foreign is None else ("foreign", foreign)
    wanted = backbone.network.state_dict()
    if layout != "lightning" and not wanted.keys() & state.keys():
        state = {key.removeprefix("network."): value for key, value in state.items()}  # a Backbone's own state dict
    fill(backbone.network, state, f"weights {file} do not fit backbone {backbone.name!r} with these settings")
    if layout != "lightning":
        log.info("weights %s: %d tensors for %s; %s", file, len(state), backbone.name, backbone.licence)
    return LoadedWeights(layout, len(state), None if layout == "lightning" else backbone.licence)
