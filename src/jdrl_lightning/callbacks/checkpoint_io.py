"""Checkpoints that are whole or absent."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from jdrl_lightning.io.atomic import atomic_write

__all__ = ["AtomicCheckpointIO"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames. Lightning's default goes through the system's temporary folder and a copy,
    which on another file system can be cut in half."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save ``checkpoint`` to the local ``path``; killed at any moment, the earlier file stays."""
        with atomic_write(path) as file:
            torch.save(checkpoint, file)
