"""The weight files of a configuration, and the one of LPIPS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from jdrl_lightning.backbones.checkpoints import BUILTIN, weights_file
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.hub import is_hub
from jdrl_lightning.io.weights import described
from jdrl_lightning.metrics.perceptual import FILE, lpips, lpips_weights

__all__ = ["perceptual", "settings"]

FILES = ("weights", "path")  # suffixes of settings that name a file


def settings(config: Any, name: str = "") -> Iterator[tuple[str, str | None]]:
    """Every setting of a weight file, such as ``backbone.weights``, with its value; None if not set."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            setting = f"{name}.{key}".lstrip(".")
            if str(key).endswith(FILES) and (value is None or isinstance(value, str)):
                stands = value == BUILTIN or is_hub(value)
                yield setting, str(weights_file(str(value), str(config.get("name")))) if stands else value
            else:
                yield from settings(value, setting)


def perceptual(path: str | None) -> tuple[tuple[str, str, str], UserError | None]:
    """LPIPS's weight file, see :func:`described`, and the error of loading it, if any."""
    try:
        file = lpips_weights(path)
        if file is None:
            return (f"missing: {FILE}, LPIPS is skipped", "", ""), None
        black = torch.zeros(1, 3, 64, 64)
        lpips(black, black, weights=file)
    except UserError as error:
        return described(path), error
    return described(file), None
