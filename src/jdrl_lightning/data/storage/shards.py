"""The data files of packed pairs: integrity check, and zero-copy views of their images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning.data.decode_cache import is_checked, mark_checked
from jdrl_lightning.data.storage.pack_index import DTYPES, Shard, Stored

__all__ = ["damage", "mapped", "view"]


def damage(folder: Path, shard: Shard) -> str | None:
    """Why a shard is damaged, or None; the checksum is verified once for each path, size and modification time."""
    path = folder / shard.file
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != shard.size:
        return f"has {path.stat().st_size} bytes, not {shard.size}"
    if not is_checked(path):
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != shard.sha256:
                return "does not match its checksum"
        mark_checked(path)
    return None


def mapped(folder: Path, shard: Shard) -> Tensor:
    """The bytes of a shard, ``(size,)`` ``uint8``, mapped copy-on-write."""
    return torch.from_file(str(folder / shard.file), shared=False, size=shard.size, dtype=torch.uint8)


def view(shard: Tensor, stored: Stored) -> Tensor:
    """The image ``stored`` as a view ``(C, H, W)`` of the bytes of its shard."""
    return shard[stored.offset : stored.offset + stored.size].view(DTYPES[stored.dtype]).view(stored.shape)
