"""The large files of packed pairs: whether one is what was written, and the images in it without a copy."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning.data.decode_cache import Decoded
from jdrl_lightning.data.storage.pack_index import DTYPES, Shard, Stored

__all__ = ["damage", "mapped", "view"]


def damage(folder: Path, shard: Shard) -> str | None:
    """What is wrong with a shard; None: nothing. Its checksum is known by path, size and time once it was right."""
    path, known = folder / shard.file, Decoded()
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != shard.size:
        return f"has {path.stat().st_size} bytes, not {shard.size}"
    if path not in known:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != shard.sha256:
                return "does not match its checksum"
        known.add(path)
    return None


def mapped(folder: Path, shard: Shard) -> Tensor:
    """The bytes of a shard, ``(size,)`` ``uint8``; what is written into them stays in this process."""
    return torch.from_file(str(folder / shard.file), shared=False, size=shard.size, dtype=torch.uint8)


def view(shard: Tensor, stored: Stored) -> Tensor:
    """The image ``(C, H, W)`` that ``stored`` names among the bytes of its shard."""
    return shard[stored.offset : stored.offset + stored.size].view(DTYPES[stored.dtype]).view(stored.shape)
