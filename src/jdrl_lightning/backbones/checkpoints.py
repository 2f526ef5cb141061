"""Loading backbone weights: our checkpoints, and the layouts of published ones. Files are not trusted."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.hub import model_file
from jdrl_lightning.io.weights import fill, read_weights, unwrap

__all__ = ["BUILTIN", "LoadedWeights", "load_weights", "weights_file"]

BUILTIN = "builtin"
SHIPPED = Path(__file__).parent / "weights"
PREFIXES = ("network.", "model.", "net_g.", "backbone.", "module.")  # the first is a Backbone's, the others frameworks'

log = logging.getLogger(__name__)


class LoadedWeights(NamedTuple):
    """What was loaded: the file's layout (``lightning`` for our checkpoints, the wrapper's key, ``bare`` or
    ``foreign``), the number of tensors, and the licence of published weights (None for our checkpoints)."""

    layout: str
    n_tensors: int
    licence: str | None


def weights_file(path: str | os.PathLike[str], name: str) -> Path:
    """The file behind a setting ``weights`` of the backbone ``name``: ``builtin`` is the one in the package.

    Raises:
        UserError: the package has none for this backbone; or see :func:`model_file`.
    """
    if path != BUILTIN:
        return model_file(path)
    file = SHIPPED / f"{name}.safetensors"
    if not file.is_file():
        known = ", ".join(sorted(shipped.stem for shipped in SHIPPED.glob("*.safetensors")))
        raise UserError(f"backbone.weights=builtin: the package has no weights of {name}, only of {known}")
    return file


def load_weights(backbone: Backbone, path: str | os.PathLike[str]) -> LoadedWeights:
    """Load a backbone's weights from a file; if a tensor is missing or does not fit, nothing is changed.

    Supported are our checkpoints (keys ``backbone.network.*``) and state dicts, either bare or under ``G_state_dict``
    (JDRL), ``state_dict``, ``params_ema``, ``params``, ``model_state_dict`` or ``model``, with or without the prefix
    ``module.`` (and IFAN's ``Network.``), or behind one of ``PREFIXES`` if no key fits without, as PyTorch or
    safetensors files (by suffix); and the backbone's own foreign formats. Code in a file is never run. The licence of
    published weights is logged.

    Args:
        backbone: changed in place.
        path: the file; ``builtin``, the weights that come with the package; ``hf:owner/name``, or a folder that
            ``save_pretrained`` wrote.

    Raises:
        UserError: the file is missing, unreadable, has pickled code, or does not fit; the message names the keys.
    """
    file = weights_file(path, backbone.name)
    foreign = backbone.read_foreign(file) if backbone.read_foreign and file.exists() else None
    layout, state = unwrap(read_weights(file), file) if foreign is None else ("foreign", foreign)
    wanted = backbone.network.state_dict()
    if layout != "lightning":
        state = _without_prefix(state, wanted.keys())
    fill(backbone.network, state, f"weights {file} do not fit backbone {backbone.name!r} with these settings")
    if layout != "lightning":
        log.info("weights %s: %d tensors for %s; %s", file, len(state), backbone.name, backbone.licence)
    return LoadedWeights(layout, len(state), None if layout == "lightning" else backbone.licence)


def _without_prefix(state: dict[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """The tensors below one prefix, or two within one another, if that is where the network's are."""
    names = set(wanted)

    def below(tensors: dict[str, Tensor], depth: int) -> dict[str, Tensor] | None:
        if names & tensors.keys():
            return tensors
        for prefix in PREFIXES if depth else ():
            inner = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            if inner and (found := below(inner, depth - 1)) is not None:
                return found
        return None

    return below(state, 2) or state
