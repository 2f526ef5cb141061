"""Uncompressed pairs in a few large memory-mapped files, so that a random crop reads little more than its own pixels.

A split is a folder with ``index.json`` and shards. A shard holds the images of consecutive pairs, each as contiguous
(C, H, W) planes of ``uint8``, ``uint16`` or ``float32`` in native byte order.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.data.storage.pack_index import (
    ALIGN,
    DTYPES,
    FILE,
    Index,
    Packed,
    Shard,
    Stored,
    read_index,
    write_index,
)
from jdrl_lightning.data.storage.shards import damage, mapped, view
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.atomic import atomic_write, clear_temporaries
from jdrl_lightning.types import Pair

__all__ = ["PackedPairs", "pack"]

log = logging.getLogger(__name__)

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def pack(
    pairs: Dataset[Pair],
    folder: Path,
    shard_bytes: int = 2**30,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Index:
    """Write every pair of one split into ``folder``; if interrupted, the next call resumes after the last whole shard.

    Existing shards are kept if their checksums match and their first and last pairs equal those of ``pairs``; the first
    damaged shard and all after it are written again.

    Args:
        pairs: map-style data set of single samples.
        folder: of one split; created if missing.
        shard_bytes: a shard ends with the pair that reaches this size.
        overwrite: start from scratch.
        progress: called with (pairs done, total).

    Raises:
        UserError: the folder has other pairs, or an image has an unsupported type.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clear_temporaries(folder)
    index = _empty(pairs) if overwrite or not (folder / FILE).is_file() else _intact(folder, pairs)
    write_index(folder, index)
    for path in folder.glob("shard-*.bin"):
        if path.name not in {shard.file for shard in index.shards}:
            path.unlink()
    while len(index.pairs) < index.total:
        index = _write_next_shard(folder, index, pairs, shard_bytes, progress)
        write_index(folder, index)
    return index


class PackedPairs(Dataset[Pair]):
    """The pairs written by ``pack``. Their tensors are views of the memory-mapped files: pixels are read when used.

    The mapping is copy-on-write: writing into a tensor is visible in this process, but never changes the file.

    Args:
        root: output folder of ``pack``, with a subfolder for each split.
        split: ``train``, ``val`` or ``test``.

    Attributes:
        has_sharp: whether there are sharp images; if not, ``sharp`` is the blurry image.

    Raises:
        UserError: the folder is not packed, packing is incomplete, or a shard is missing, truncated or damaged. The
            checksum of a shard is verified once for each path, size and modification time.
    """

    def __init__(self, root: str | Path, split: str) -> None:
        self.folder = Path(root) / split
        self.index = read_index(self.folder)
        self.has_sharp = self.index.has_sharp
        if len(self.index.pairs) < self.index.total:
            raise UserError(
                f"{self.folder}: {len(self.index.pairs)} of {self.index.total} pairs are packed; run the same "
                "prepare pack again to resume"
            )
        for shard in self.index.shards:
            if problem := damage(self.folder, shard):
                raise UserError(f"{self.folder / shard.file}: {problem}; run the same prepare pack again to repair it")
        self._maps: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.index.pairs)

    def __getitem__(self, index: int) -> Pair:
        packed = self.index.pairs[index]
        images = {key: view(self._map(packed.shard), stored) for key, stored in packed.images.items()}
        return Pair(images.pop("blurry"), images.pop("sharp"), packed.name, images)

    def __getstate__(self) -> dict[str, object]:
        """Without the mappings: each loader worker opens its own."""
        return {**self.__dict__, "_maps": {}}

    def _map(self, number: int) -> Tensor:
        if number not in self._maps:
            self._maps[number] = mapped(self.folder, self.index.shards[number])
        return self._maps[number]


def _empty(pairs: Dataset[Pair]) -> Index:
    return Index(len(pairs), getattr(pairs, "has_sharp", True), [], [])  # type: ignore[arg-type]


def _intact(folder: Path, pairs: Dataset[Pair]) -> Index:
    """The index of an earlier call up to its first damaged shard; refuses other pairs."""
    index, empty = read_index(folder), _empty(pairs)
    if (index.total, index.has_sharp) != (empty.total, empty.has_sharp):
        raise _other_pairs(folder, f"{index.total} pairs, not {empty.total}")
    for number, shard in enumerate(index.shards):
        members = [position for position, packed in enumerate(index.pairs) if packed.shard == number]
        if problem := damage(folder, shard):
            log.warning("%s: %s; writing it and all later shards again", folder / shard.file, problem)
            return index._replace(shards=index.shards[:number], pairs=index.pairs[: members[0]])
        for position in {members[0], members[-1]}:
            packed = index.pairs[position]
            if not _same(pairs[position], packed, mapped(folder, shard)):
                raise _other_pairs(folder, f"{packed.name} differs")
    return index


def _other_pairs(folder: Path, difference: str) -> UserError:
    return UserError(f"{folder}: other pairs are packed here ({difference}); give another output=… or overwrite=true")


def _same(pair: Pair, packed: Packed, shard: Tensor) -> bool:
    images = dict(_images(pair))
    return (
        pair.name == packed.name
        and images.keys() == packed.images.keys()
        and all(image.equal(view(shard, packed.images[key])) for key, image in images.items())
    )


def _write_next_shard(
    folder: Path,
    index: Index,
    pairs: Dataset[Pair],
    shard_bytes: int,
    progress: Callable[[int, int], None] | None,
) -> Index:
    """Write one more shard and return the index with it."""
    number, offset, digest = len(index.shards), 0, hashlib.sha256()
    name, added = f"shard-{number:05}.bin", list[Packed]()
    with atomic_write(folder / name) as file:
        while (not added or offset < shard_bytes) and len(index.pairs) + len(added) < index.total:
            pair = pairs[len(index.pairs) + len(added)]
            stored: dict[str, Stored] = {}
            for key, image in _images(pair):
                if key == "sharp" and not index.has_sharp:
                    stored[key] = stored["blurry"]
                    continue
                stored[key] = Stored(_NAMES[image.dtype], tuple(image.shape), offset)
                padding = bytes(-stored[key].size % ALIGN)
                for part in (image.numpy().data, padding):
                    file.write(part)
                    digest.update(part)
                offset += stored[key].size + len(padding)
            added.append(Packed(str(pair.name), number, stored))
            if progress is not None:
                progress(len(index.pairs) + len(added), index.total)
    shard = Shard(name, offset, digest.hexdigest())
    return index._replace(shards=[*index.shards, shard], pairs=[*index.pairs, *added])


def _images(pair: Pair) -> Iterator[tuple[str, Tensor]]:
    for key, image in {"blurry": pair.blurry, "sharp": pair.sharp, **pair.extras}.items():
        if image.dtype not in _NAMES:
            raise UserError(f"{pair.name}, {key}: {image.dtype} cannot be packed, only {', '.join(DTYPES)}")
        yield key, image.contiguous()
