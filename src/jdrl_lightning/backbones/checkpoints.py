"""Loading backbone weights: our checkpoints, and the layouts of published ones. Files are not trusted."""

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
    """What was loaded: the file's layout (``lightning`` for our checkpoints, the wrapper's key, ``bare`` or
    ``foreign``), the number of tensors, and the licence of published weights (None for our checkpoints)."""

    layout: str
    n_tensors: int
    licence: str | None


def load_weights(backbone: Backbone, path: str | os.PathLike[str]) -> LoadedWeights:
    """Load a backbone's weights from a file; if a tensor is missing or does not fit, nothing is changed.

    Supported are our checkpoints (keys ``backbone.network.*``) and state dicts, either bare or under ``G_state_dict``
    (JDRL), ``state_dict``, ``params_ema`` or ``params``, with or without the prefix ``module.`` (and IFAN's
    ``Network.``), as PyTorch or safetensors files (by suffix); and the backbone's own foreign formats. Code in a file
    is never run. The licence of published weights is logged.

    Args:
        backbone: changed in place.
        path: the file.

    Raises:
        UserError: the file is missing, unreadable, has pickled code, or does not fit; the message names the keys.
    """
    file = Path(path)
    foreign = backbone.read_foreign(file) if backbone.read_foreign and file.exists() else None
    layout, state = unwrap(read_weights(file), file) if foreign is None else ("foreign", foreign)
    wanted = backbone.network.state_dict()
    if layout != "lightning" and not wanted.keys() & state.keys():
        state = {key.removeprefix("network."): value for key, value in state.items()}  # the state dict of a Backbone
    fill(backbone.network, state, f"weights {file} do not fit backbone {backbone.name!r} with these settings")
    if layout != "lightning":
        log.info("weights %s: %d tensors for %s; %s", file, len(state), backbone.name, backbone.licence)
    return LoadedWeights(layout, len(state), None if layout == "lightning" else backbone.licence)
