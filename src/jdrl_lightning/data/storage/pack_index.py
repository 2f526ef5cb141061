"""The index of packed pairs, ``index.json``; validated when read, since the file is not trusted."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.atomic import atomic_write

__all__ = ["ALIGN", "DTYPES", "FILE", "Index", "Packed", "Shard", "Stored", "read_index", "write_index"]

FILE = "index.json"
FORMAT = "jdrl_lightning packed pairs, 1"
DTYPES = {"uint8": torch.uint8, "uint16": torch.uint16, "float32": torch.float32}
ALIGN = 64  # bytes; the offset of every image is a multiple


class Stored(NamedTuple):
    """One image: its type, shape ``(C, H, W)`` and byte offset in its shard."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """In bytes."""
        return DTYPES[self.dtype].itemsize * math.prod(self.shape)


class Packed(NamedTuple):
    """One pair: its name, its shard's number, and its images by ``blurry``, ``sharp`` or the name of the extra."""

    name: str
    shard: int
    images: dict[str, Stored]


class Shard(NamedTuple):
    """One data file next to the index."""

    file: str
    size: int
    sha256: str


class Index(NamedTuple):
    """The index of one split.

    Attributes:
        total: number of pairs once packing is complete; until then fewer are listed.
        has_sharp: False if the images have no sharp partners, so that ``sharp`` is the blurry image.
        shards, pairs: in order; a shard holds consecutive pairs.
    """

    total: int
    has_sharp: bool
    shards: list[Shard]
    pairs: list[Packed]


def write_index(folder: Path, index: Index) -> None:
    """Write ``folder/index.json`` atomically."""
    pairs = [
        {"name": pair.name, "shard": pair.shard, "images": {k: list(v) for k, v in pair.images.items()}}
        for pair in index.pairs
    ]
    content = {
        "format": FORMAT,
        "byteorder": sys.byteorder,
        "total": index.total,
        "has_sharp": index.has_sharp,
        "shards": [shard._asdict() for shard in index.shards],
        "pairs": pairs,
    }
    with atomic_write(folder / FILE, "w") as file:
        json.dump(content, file)


def read_index(folder: Path) -> Index:
    """Read ``folder/index.json`` and validate it; the shards are not read.

    Raises:
        UserError: the file is missing, damaged or in another format.
    """
    path = folder / FILE
    try:
        return _index(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; create it with python -m jdrl_lightning.prepare pack data.root=<pairs> "
            f"output={folder.parent}"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path}: is not an index of packed pairs ({reason}); pack again with overwrite=true"
        ) from error


def _index(content: Any) -> Index:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"the format is not {FORMAT!r}")
    if content["byteorder"] != sys.byteorder:
        raise ValueError(f"written on a {content['byteorder']}-endian machine")
    shards = [Shard(str(s["file"]), int(s["size"]), str(s["sha256"])) for s in content["shards"]]
    for shard in shards:
        if Path(shard.file).name != shard.file:
            raise ValueError(f"shard {shard.file!r} is not a plain file name")
    pairs = [_packed(pair, shards) for pair in content["pairs"]]
    numbers = [pair.shard for pair in pairs]
    if numbers != sorted(numbers) or set(numbers) != set(range(len(shards))) or len(pairs) > int(content["total"]):
        raise ValueError("inconsistent pairs and shards")
    return Index(int(content["total"]), bool(content["has_sharp"]), shards, pairs)


def _packed(pair: Any, shards: list[Shard]) -> Packed:
    number = int(pair["shard"])
    if not 0 <= number < len(shards):
        raise ValueError(f"{pair['name']}: no shard {number}")
    images = {str(key): Stored(str(d), tuple(map(int, s)), int(o)) for key, (d, s, o) in pair["images"].items()}
    if not {"blurry", "sharp"} <= images.keys():
        raise ValueError(f"{pair['name']}: not a pair")
    for key, image in images.items():
        if image.dtype not in DTYPES or min(image.shape, default=0) < 1:
            raise ValueError(f"{pair['name']}, {key}: unknown type or empty shape")
        if image.offset < 0 or image.offset % ALIGN or image.offset + image.size > shards[number].size:
            raise ValueError(f"{pair['name']}, {key}: outside its shard")
    return Packed(str(pair["name"]), number, images)
