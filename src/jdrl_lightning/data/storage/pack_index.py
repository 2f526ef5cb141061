"""What lies where in packed pairs: ``index.json``, read as something that nobody vouches for."""

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
ALIGN = 64  # bytes; every image begins at a multiple


class Stored(NamedTuple):
    """One image: its type, ``(C, H, W)``, and the byte of its shard at which its planes begin, one after the other."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Bytes."""
        return DTYPES[self.dtype].itemsize * math.prod(self.shape)


class Packed(NamedTuple):
    """One pair: its name, the number of its shard, and its images by ``blurry``, ``sharp`` or the name of the extra."""

    name: str
    shard: int
    images: dict[str, Stored]


class Shard(NamedTuple):
    """One file beside the index."""

    file: str
    size: int
    sha256: str


class Index(NamedTuple):
    """One split.

    Attributes:
        total: pairs that there will be; fewer are listed while packing is unfinished.
        has_sharp: False: the pictures have no sharp partners, and ``sharp`` is the blurry one again.
        shards, pairs: in order; a shard holds pairs that follow each other.
    """

    total: int
    has_sharp: bool
    shards: list[Shard]
    pairs: list[Packed]


def write_index(folder: Path, index: Index) -> None:
    """Write ``folder/index.json``, whole or not at all."""
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
    """Read ``folder/index.json`` and check that it holds together; the shards are not looked at.

    Raises:
        UserError: it is missing or damaged, or of another format.
    """
    path = folder / FILE
    try:
        return _index(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; make it with python -m jdrl_lightning.prepare pack data.root=<pairs> "
            f"output={folder.parent}"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: is no index of packed pairs ({reason}); pack anew with overwrite=true") from error


def _index(content: Any) -> Index:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    if content["byteorder"] != sys.byteorder:
        raise ValueError(f"it was written on a machine with {content['byteorder']}-endian numbers")
    shards = [Shard(str(s["file"]), int(s["size"]), str(s["sha256"])) for s in content["shards"]]
    for shard in shards:
        if Path(shard.file).name != shard.file:
            raise ValueError(f"shard {shard.file!r} is not a name beside it")
    pairs = [_packed(pair, shards) for pair in content["pairs"]]
    numbers = [pair.shard for pair in pairs]
    if numbers != sorted(numbers) or set(numbers) != set(range(len(shards))) or len(pairs) > int(content["total"]):
        raise ValueError("its pairs and shards do not belong together")
    return Index(int(content["total"]), bool(content["has_sharp"]), shards, pairs)


def _packed(pair: Any, shards: list[Shard]) -> Packed:
    number = int(pair["shard"])
    if not 0 <= number < len(shards):
        raise ValueError(f"{pair['name']}: there is no shard {number}")
    images = {str(key): Stored(str(d), tuple(map(int, s)), int(o)) for key, (d, s, o) in pair["images"].items()}
    if not {"blurry", "sharp"} <= images.keys():
        raise ValueError(f"{pair['name']}: not a pair")
    for key, image in images.items():
        if image.dtype not in DTYPES or min(image.shape, default=0) < 1:
            raise ValueError(f"{pair['name']}, {key}: unknown kind")
        if image.offset < 0 or image.offset % ALIGN or image.offset + image.size > shards[number].size:
            raise ValueError(f"{pair['name']}, {key}: lies outside its shard")
    return Packed(str(pair["name"]), number, images)
