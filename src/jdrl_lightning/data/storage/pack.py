"""Whole pairs, raw, in a few large files that are mapped into memory: a random crop reads little more than itself.

A split is a folder with ``index.json`` and shards. In a shard lie the images of pairs that follow each other, each as
its planes (C, H, W) one after the other, ``uint8``, ``uint16`` or ``float32`` in the machine's order of bytes.
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
    """Write every pair of one split into ``folder``; started again after a kill, it goes on after the last whole shard.

    What is there already is kept if its checksums are right and the first and the last pair of each shard are still
    those of ``pairs``; from the first shard that is damaged on, everything is made anew.

    Args:
        pairs: map-style data set of single samples.
        folder: of one split; made if it is missing.
        shard_bytes: a shard is ended by the pair with which it reaches this size.
        overwrite: begin anew whatever is there.
        progress: called with (pairs done, all pairs).

    Raises:
        UserError: other pairs are packed there, or an image is of a type that is not stored.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clear_temporaries(folder)
    index = _empty(pairs) if overwrite or not (folder / FILE).is_file() else _finished(folder, pairs)
    write_index(folder, index)
    for path in folder.glob("shard-*.bin"):
        if path.name not in {shard.file for shard in index.shards}:
            path.unlink()
    while len(index.pairs) < index.total:
        index = _with_next_shard(folder, index, pairs, shard_bytes, progress)
        write_index(folder, index)
    return index


class PackedPairs(Dataset[Pair]):
    """The pairs that ``pack`` wrote. Their tensors are views on the files: nothing is read before it is used.

    Who writes into such a tensor changes what this process sees of the pair from then on, never the file.

    Args:
        root: the folder that was packed into.
        split: ``train``, ``val`` or ``test``.

    Attributes:
        has_sharp: whether there are sharp pictures. If not, ``sharp`` is the blurry picture again.

    Raises:
        UserError: nothing was packed there, packing is unfinished, or a shard is missing, truncated or damaged. Each
            shard is read once for that and afterwards known by path, size and time.
    """

    def __init__(self, root: str | Path, split: str) -> None:
        self.folder = Path(root) / split
        self.index = read_index(self.folder)
        self.has_sharp = self.index.has_sharp
        if len(self.index.pairs) < self.index.total:
            raise UserError(
                f"{self.folder}: {len(self.index.pairs)} of {self.index.total} pairs are packed; run the same "
                "prepare pack again, it goes on where it stopped"
            )
        for shard in self.index.shards:
            if wrong := damage(self.folder, shard):
                raise UserError(f"{self.folder / shard.file}: {wrong}; run the same prepare pack again to mend it")
        self._maps: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.index.pairs)

    def __getitem__(self, index: int) -> Pair:
        packed = self.index.pairs[index]
        images = {key: view(self._map(packed.shard), stored) for key, stored in packed.images.items()}
        return Pair(images.pop("blurry"), images.pop("sharp"), packed.name, images)

    def __getstate__(self) -> dict[str, object]:
        """Without the maps: a loading process opens its own instead of being sent the pixels."""
        return {**self.__dict__, "_maps": {}}

    def _map(self, number: int) -> Tensor:
        if number not in self._maps:
            self._maps[number] = mapped(self.folder, self.index.shards[number])
        return self._maps[number]


def _empty(pairs: Dataset[Pair]) -> Index:
    return Index(len(pairs), getattr(pairs, "has_sharp", True), [], [])  # type: ignore[arg-type]


def _finished(folder: Path, pairs: Dataset[Pair]) -> Index:
    """What an earlier call left that is whole and from the same pairs."""
    index, empty = read_index(folder), _empty(pairs)
    if (index.total, index.has_sharp) != (empty.total, empty.has_sharp):
        raise _others(folder, f"{index.total} pairs, not {empty.total}")
    for number, shard in enumerate(index.shards):
        places = [place for place, packed in enumerate(index.pairs) if packed.shard == number]
        if wrong := damage(folder, shard):
            log.warning("%s: %s; made anew, with those after it", folder / shard.file, wrong)
            return index._replace(shards=index.shards[:number], pairs=index.pairs[: places[0]])
        for place in {places[0], places[-1]}:
            packed = index.pairs[place]
            if not _same(pairs[place], packed, mapped(folder, shard)):
                raise _others(folder, f"{packed.name} is another")
    return index


def _others(folder: Path, what: str) -> UserError:
    return UserError(f"{folder}: other pairs are packed here ({what}); give another output=… or overwrite=true")


def _same(pair: Pair, packed: Packed, shard: Tensor) -> bool:
    images = dict(_images(pair))
    return (
        pair.name == packed.name
        and images.keys() == packed.images.keys()
        and all(image.equal(view(shard, packed.images[key])) for key, image in images.items())
    )


def _with_next_shard(
    folder: Path,
    index: Index,
    pairs: Dataset[Pair],
    shard_bytes: int,
    progress: Callable[[int, int], None] | None,
) -> Index:
    """The index with one shard more, which is written."""
    number, place, digest = len(index.shards), 0, hashlib.sha256()
    name, added = f"shard-{number:05}.bin", list[Packed]()
    with atomic_write(folder / name) as file:
        while (not added or place < shard_bytes) and len(index.pairs) + len(added) < index.total:
            pair = pairs[len(index.pairs) + len(added)]
            stored: dict[str, Stored] = {}
            for key, image in _images(pair):
                if key == "sharp" and not index.has_sharp:
                    stored[key] = stored["blurry"]
                    continue
                stored[key] = Stored(_NAMES[image.dtype], tuple(image.shape), place)
                padding = bytes(-stored[key].size % ALIGN)
                for part in (image.numpy().data, padding):
                    file.write(part)
                    digest.update(part)
                place += stored[key].size + len(padding)
            added.append(Packed(str(pair.name), number, stored))
            if progress is not None:
                progress(len(index.pairs) + len(added), index.total)
    shard = Shard(name, place, digest.hexdigest())
    return index._replace(shards=[*index.shards, shard], pairs=[*index.pairs, *added])


def _images(pair: Pair) -> Iterator[tuple[str, Tensor]]:
    for key, image in {"blurry": pair.blurry, "sharp": pair.sharp, **pair.extras}.items():
        if image.dtype not in _NAMES:
            raise UserError(f"{pair.name}, {key}: {image.dtype} is none of {', '.join(DTYPES)}, which can be packed")
        yield key, image.contiguous()
