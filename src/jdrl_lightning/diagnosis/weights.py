"""The files of weights that a configuration asks for, and the one behind LPIPS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from jdrl_lightning.errors import UserError
from jdrl_lightning.metrics.perceptual import FILE, lpips, lpips_weights

__all__ = ["described", "perceptual", "settings"]

BLOCK = 2**20
FILES = ("weights", "path")  # how the settings that name a file end


def settings(config: Any, name: str = "") -> Iterator[tuple[str, str | None]]:
    """Every setting that names a file of weights, as ``backbone.weights``, and its value; None: not set."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            place = f"{name}.{key}".lstrip(".")
            if str(key).endswith(FILES) and (value is None or isinstance(value, str)):
                yield place, value
            else:
                yield from settings(value, place)


def described(value: str | Path | None) -> tuple[str, str, str]:
    """What lies at ``value``: the path, its size in bytes and its SHA-256."""
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
