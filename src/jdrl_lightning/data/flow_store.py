"""Measured flow on disk: what one process measured, another one, or a resumed training, reads."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.types import Pair

__all__ = ["FlowStore"]


class FlowStore:
    """A file for each pair, named by a digest of its pixels and of the estimator: what has changed is measured again.

    Args:
        folder: made when something is written.
        estimator: its class and the settings that it was made from count.
        how: what else decides what is measured; empty: nothing.
    """

    def __init__(self, folder: Path, estimator: FlowEstimator, how: str = "") -> None:
        self.folder = folder
        self._how = f"{estimator.identity}{how}".encode()

    def read(self, pair: Pair) -> Tensor | None:
        """What :meth:`write` was given; None if there is nothing, or a damaged file."""
        try:
            return load_file(self._file(pair))["flow"]
        except (FileNotFoundError, SafetensorError, KeyError):
            return None

    def write(self, pair: Pair, flow: Tensor) -> None:
        """Keep ``flow``, ``(4, h, w)``, both ways, or ``(5, h, w)`` with the blur, of a pair of whole pictures."""
        with atomic_write(self._file(pair)) as file:
            file.write(save({"flow": flow.contiguous()}))

    def _file(self, pair: Pair) -> Path:
        digest = blake2b(self._how, digest_size=16)
        valid = [pair.extras["valid"]] if "valid" in pair.extras else []  # the blur is measured where it allows
        for image in (pair.blurry, pair.sharp, *valid):
            digest.update(f"{image.dtype} {tuple(image.shape)}".encode())
            digest.update(image.contiguous().view(torch.uint8).numpy().data)
        return self.folder / f"{digest.hexdigest()}.safetensors"
