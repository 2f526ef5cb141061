"""The files of weights that a configuration asks for, and the one behind LPIPS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from jdrl_lightning.backbones.checkpoints import BUILTIN, weights_file
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import described
from jdrl_lightning.metrics.perceptual import FILE, lpips, lpips_weights

__all__ = ["perceptual", "settings"]

FILES = ("weights", "path")  # how the settings that name a file end


def settings(config: Any, name: str = "") -> Iterator[tuple[str, str | None]]:
    """Every setting that names a file of weights, as ``backbone.weights``, and its value; None: not set."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            place = f"{name}.{key}".lstrip(".")
            if str(key).endswith(FILES) and (value is None or isinstance(value, str)):
                yield place, str(weights_file(value, str(config.get("name")))) if value == BUILTIN else value
            else:
                yield from settings(value, place)


def perceptual(path: str | None) -> tuple[tuple[str, str, str], UserError | None]:
    """The file behind LPIPS, as :func:`described`, and what stands in the way of using it."""
    try:
        file = lpips_weights(path)
        if file is None:
            return (f"missing: {FILE}, LPIPS is left out", "", ""), None
        black = torch.zeros(1, 3, 64, 64)
        lpips(black, black, weights=file)
    except UserError as error:
        return described(path), error
    return described(file), None
