"""Weights from files: our own checkpoints and the layouts in which others publish theirs. Files are not trusted."""

from __future__ import annotations

import logging
import os
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError

__all__ = ["LoadedWeights", "fill", "load_weights", "read_weights", "unwrap"]

log = logging.getLogger(__name__)

WRAPPERS = ("G_state_dict", "state_dict", "params_ema", "params")  # in this order
OURS = "backbone.network."
NAMED = 8  # keys that a message lists before it only counts
DAMAGED = (  # what torch.load was seen to raise on refused, cut and altered files
    UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError,
    OverflowError, OSError, struct.error,
)  # fmt: skip


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


def fill(network: nn.Module, state: Mapping[str, Tensor], complaint: str) -> None:
    """Copy ``state`` into ``network``; every tensor must be there and fit, or nothing is changed.

    Raises:
        UserError: ``complaint``, and which keys are missing, unexpected or of another shape.
    """
    wanted = network.state_dict()
    misshapen = [
        f"{key} ({_shape(state[key])} in the file, {_shape(wanted[key])} here)"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    problems = {
        "missing": [key for key in wanted if key not in state],
        "unexpected": [key for key in state if key not in wanted],
        "of another shape": misshapen,
    }
    if any(problems.values()):
        told = "; ".join(f"{len(keys)} {kind}: {_list(keys)}" for kind, keys in problems.items() if keys)
        raise UserError(f"{complaint}: {told}")
    network.load_state_dict(state)


def read_weights(file: Path) -> Any:
    """The object in a PyTorch or safetensors file, of plain types and tensors (on the CPU) only.

    Raises:
        UserError: the file is missing, unreadable, or holds pickled code.
    """
    if not file.is_file():
        raise UserError(f"weights {file} do not exist: check the path")
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        code = re.search(r"GLOBAL (\S+)", str(error))  # torch names the first function that the file would call
        if code:
            remedy = "load it where you trust it, and save its state dict alone"
            raise UserError(f"weights {file} hold pickled code ({code[1]}), which is not run: {remedy}") from error
        raise UserError(f"weights {file} cannot be read as a PyTorch file: damaged, or not weights at all") from error


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise UserError(f"weights {file} need the safetensors package: pip install safetensors") from error
    try:
        return load_file(file)
    except SafetensorError as error:
        raise UserError(f"weights {file} cannot be read as safetensors: damaged, or not weights at all") from error


def unwrap(content: Any, file: Path) -> tuple[str, dict[str, Tensor]]:
    """The layout's name and the network's tensors under their bare names, of what ``file`` holds.

    Raises:
        UserError: there is no state dict in it.
    """
    layout = "bare"
    if isinstance(content, Mapping):
        for wrapper in WRAPPERS:
            if isinstance(content.get(wrapper), Mapping):
                layout, content = wrapper, content[wrapper]
                break
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"weights {file} hold no state dict, neither bare nor under {', '.join(WRAPPERS)}")
    state = {str(key).removeprefix("module."): value for key, value in content.items()}
    if any(key.startswith("Network.") for key in state):  # IFAN's trainer: the network, and heads that only it needs
        state = {key.removeprefix("Network."): value for key, value in state.items() if key.startswith("Network.")}
    ours = {key.removeprefix(OURS): value for key, value in state.items() if key.startswith(OURS)}
    return ("lightning", ours) if ours else (layout, state)


def _list(keys: Sequence[str]) -> str:
    rest = len(keys) - NAMED
    return ", ".join(keys[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "scalar"
