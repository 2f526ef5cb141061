"""Atomic checkpoint writes."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from jdrl_lightning.io.atomic import atomic_write

__all__ = ["AtomicCheckpointIO"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a temporary file next to the target and renames it. Lightning's default writes to the system's temporary
    folder and then copies, which is not atomic across file systems."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save ``checkpoint`` to the local ``path``; if the process is killed, an earlier file remains intact."""
        with atomic_write(path) as file:
            torch.save(checkpoint, file)
