"""A model in a folder, as it travels: weights as safetensors, and a config.json that names what to build. No code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from jdrl_lightning import __version__
from jdrl_lightning.errors import UserError, and_more
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.io.hub import CONFIG, WEIGHTS
from jdrl_lightning.io.weights import CHECKPOINT_KEY, read_weights

__all__ = ["PARTS", "read_pretrained", "write_pretrained"]

PARTS = ("backbone", "objective")  # what config.json describes: a registered name and its settings
OWNERS = (*PARTS, "auxiliary")  # what a tensor's name begins with
FILES = ("weights", "path", "file")  # suffixes of settings that name a file, which does not travel along
LARGEST_CONFIG = 2**20  # bytes


def write_pretrained(folder: Path, parts: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Write ``WEIGHTS`` and ``CONFIG`` into ``folder``; neither holds a path of this machine.

    Args:
        folder: made if missing.
        parts: settings with ``name`` of the ``backbone`` and, if known, of the ``objective``; others are left out.
        state: tensors by names that begin with ``backbone.``, ``objective.`` or ``auxiliary.``.
    """
    from safetensors.torch import save

    kept = {part: _without_files(parts[part]) for part in PARTS if part in parts}
    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}  # none shares memory
    with atomic_write(folder / WEIGHTS) as file:
        file.write(save(whole, {"format": "pt"}))
    with atomic_write(folder / CONFIG, "w") as file:
        file.write(json.dumps({CHECKPOINT_KEY: __version__, **kept}, indent=2) + "\n")


def read_pretrained(file: Path) -> dict[str, Any]:
    """The weights in ``file`` and the settings beside it, laid out as a checkpoint of a training; nothing is run.

    Raises:
        UserError: damaged, no settings beside it or none of ours, something to call in them, or foreign tensors.
    """
    parts = _settings(file.with_name(CONFIG))
    state = read_weights(file)
    known = tuple(f"{part}." for part in OWNERS if part in parts or part == "auxiliary")
    if foreign := sorted(name for name in state if not name.startswith(known)):
        raise UserError(f"{file}: holds what {CONFIG} does not describe: {and_more(foreign)}")
    return {"state_dict": state, CHECKPOINT_KEY: {"config": parts}}


def _settings(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(f"{file}: no such file; a model has a {CONFIG} beside its {WEIGHTS}")
    try:
        if file.stat().st_size > LARGEST_CONFIG:
            raise ValueError("too large")
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read as JSON: damaged, or not the settings of a model") from error
    if not isinstance(content, dict) or CHECKPOINT_KEY not in content:
        raise UserError(f"{file}: not a model that save_pretrained of jdrl_lightning wrote")
    if (called := _called(content)) is not None:
        raise UserError(f"{file}: names something to call ({called!r}), which is refused: parts have registered names")
    parts = {part: content[part] for part in PARTS if part in content}
    for part, settings in parts.items():
        if not isinstance(settings, dict) or not isinstance(settings.get("name"), str):
            raise UserError(f"{file}: its {part} has no name; it must be one that is registered here")
    if "backbone" not in parts:
        raise UserError(f"{file}: describes no backbone")
    return _without_files(parts)


def _called(value: Any) -> str | None:
    """The first ``_target_`` at any depth, of Hydra; else None."""
    if isinstance(value, dict):
        if "_target_" in value:
            return str(value["_target_"])
        value = list(value.values())
    found = map(_called, value) if isinstance(value, list) else ()
    return next((name for name in found if name is not None), None)


def _without_files(value: Any) -> Any:
    """Without names of files at any depth: this machine's tell others nothing, and others' are not to be opened."""
    if isinstance(value, Mapping):
        return {
            str(key): None if str(key).endswith(FILES) and isinstance(item, str) else _without_files(item)
            for key, item in value.items()
        }
    return [_without_files(item) for item in value] if isinstance(value, list | tuple) else value
