"""Weight files: read without running pickled code, unwrapped, loaded into a network."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from jdrl_lightning.errors import UserError, and_more

__all__ = ["CHECKPOINT_KEY", "described", "fill", "read_weights", "unwrap"]

CHECKPOINT_KEY = "jdrl_lightning"  # what a training of ours adds to its checkpoints: the version and the config

# Keys of the state dict; the first found counts.
WRAPPERS = ("G_state_dict", "state_dict", "params_ema", "params", "model_state_dict", "model")
OURS = "backbone.network."
NAMED = 8  # keys listed in a message; the others are counted
DAMAGED = (  # errors of torch.load observed on refused, truncated and corrupted files
    UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError,
    OverflowError, OSError, struct.error,
)  # fmt: skip
BLOCK = 2**20


def read_weights(file: Path) -> Any:
    """The content of a PyTorch or safetensors file: plain types and tensors on the CPU.

    Raises:
        UserError: the file is missing, unreadable, or has pickled code.
    """
    if not file.is_file():
        raise UserError(f"weights {file} do not exist: check the path")
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        code = re.search(r"GLOBAL (\S+)", str(error))  # torch names the first function the file would call
        if code:
            remedy = "load it in a trusted environment and save only its state dict"
            raise UserError(f"weights {file} hold pickled code ({code[1]}), which is not run: {remedy}") from error
        raise UserError(f"weights {file} cannot be read as a PyTorch file: damaged, or not weights") from error


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise UserError(f"weights {file} need the safetensors package: pip install safetensors") from error
    try:
        return load_file(file)
    except SafetensorError as error:
        raise UserError(f"weights {file} cannot be read as safetensors: damaged, or not weights") from error


def unwrap(
    content: Any, file: Path, wrappers: Sequence[str] = WRAPPERS, ours: str = OURS
) -> tuple[str, dict[str, Tensor]]:
    """The layout's name and the network's state dict, without prefixes, from the ``content`` of ``file``.

    Args:
        content: what :func:`read_weights` returned.
        file: named in the error.
        wrappers: keys that may hold the state dict; the first one found counts.
        ours: prefix of the network's tensors in a checkpoint of ours.

    Raises:
        UserError: there is no state dict.
    """
    layout = "bare"
    if isinstance(content, Mapping):
        for wrapper in wrappers:
            if isinstance(content.get(wrapper), Mapping):
                layout, content = wrapper, content[wrapper]
                break
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"weights {file} hold no state dict, neither bare nor under {', '.join(wrappers)}")
    state = {str(key).removeprefix("module."): value for key, value in content.items()}
    if any(key.startswith("Network.") for key in state):
        # IFAN's checkpoints: the network, and heads used in training only.
        state = {key.removeprefix("Network."): value for key, value in state.items() if key.startswith("Network.")}
    own = {key.removeprefix(ours): value for key, value in state.items() if key.startswith(ours)}
    return ("lightning", own) if own else (layout, state)


def fill(network: nn.Module, state: Mapping[str, Tensor], message: str) -> None:
    """Load ``state`` into ``network``; if a tensor is missing or does not fit, nothing is changed.

    Raises:
        UserError: ``message``, and the keys that are missing, unexpected or of another shape.
    """
    wanted = network.state_dict()
    misshapen = [
        f"{key} ({_shape(state[key])} in the file, {_shape(wanted[key])} in the network)"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    problems = {
        "missing": [key for key in wanted if key not in state],
        "unexpected": [key for key in state if key not in wanted],
        "of another shape": misshapen,
    }
    if any(problems.values()):
        details = "; ".join(f"{len(keys)} {kind}: {and_more(keys, NAMED)}" for kind, keys in problems.items() if keys)
        raise UserError(f"{message}: {details}")
    network.load_state_dict(state)


def described(value: str | Path | None) -> tuple[str, str, str]:
    """The path (or why there is no file), size in bytes and SHA-256 of a weight file."""
    if value is None:
        return "not set", "", ""
    file = Path(value)
    if not file.is_file():
        return str(file) if file.exists() or value == "random" else f"missing: {file}", "", ""
    digest = sha256()
    with file.open("rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
    return str(file), f"{file.stat().st_size:,}", digest.hexdigest()


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "scalar"
