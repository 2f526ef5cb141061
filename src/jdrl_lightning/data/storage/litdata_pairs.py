"""Pairs as uncompressed litdata chunks, for data sets in an object store or larger than one machine's disk.

litdata reads any kind of item, including pickles. Here only tensors and strings are allowed, and the index is checked
for that before any chunk is read.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

__all__ = ["StreamedPairs", "stream"]

HARMLESS = {"tensor", "str"}  # litdata's names of the value types that are allowed
NAME = "name"  # key of the pair's name in an item; the others are "blurry", "sharp" and the extras


def stream(
    pairs: Dataset[Pair],
    folder: Path,
    chunk_bytes: int = 2**26,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write every pair of one split into ``folder`` as litdata chunks.

    ``index.json`` is written last; without it the next call starts from scratch.

    Args:
        pairs: map-style data set of single samples.
        folder: of one split, on a local disk; copy it to the object store afterwards.
        chunk_bytes: largest size of a chunk with more than one pair.
        overwrite: replace existing chunks.
        progress: called with (pairs done, total).

    Returns:
        The number of pairs.

    Raises:
        UserError: litdata is not installed, or the folder is complete and ``overwrite`` is off.
    """
    writer_class = _litdata("litdata.streaming.writer").BinaryWriter
    if (folder / "index.json").is_file() and not overwrite:
        raise UserError(f"{folder / 'index.json'}: exists; give another output=… or overwrite=true")
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*folder.glob("*index.json"), *folder.glob("chunk-*.bin")]:
        path.unlink()
    writer = writer_class(str(folder), chunk_bytes=chunk_bytes)
    count, has_sharp = len(pairs), getattr(pairs, "has_sharp", True)  # type: ignore[arg-type]
    for index in range(count):
        pair = pairs[index]
        images = {"blurry": pair.blurry, **({"sharp": pair.sharp} if has_sharp else {}), **pair.extras}
        writer.add_item(index, {**images, NAME: pair.name})
        if progress is not None:
            progress(index + 1, count)
    writer.done()
    writer.merge()
    return count


class StreamedPairs(Dataset[Pair]):
    """The pairs written by ``stream``. A pair is read whole; from an object store, only its bytes are fetched.

    Args:
        root: the folder that was written, or the address it was copied to (``s3://…``, ``gs://…``).
        split: ``train``, ``val`` or ``test``.

    Attributes:
        has_sharp: whether there are sharp images; if not, ``sharp`` is the blurry image.

    Raises:
        UserError: litdata is not installed, there is no index, a chunk is missing or truncated, or items have a type
            that could run code when read.
    """

    def __init__(self, root: str | Path, split: str) -> None:
        self.location = f"{str(root).rstrip('/')}/{split}"
        remote = "://" in self.location
        _litdata("litdata")
        if not remote and not (Path(self.location) / "index.json").is_file():
            raise UserError(
                f"{self.location}/index.json: no such file; create it with python -m jdrl_lightning.prepare pack "
                f"store=litdata data.root=<pairs> output={root}"
            )
        index = Path(self._items.input_dir.path) / "index.json"  # for an object store, litdata's local copy
        chunks = _check_index(index, self.location)
        self._count = sum(int(chunk["chunk_size"]) for chunk in chunks)
        for chunk in () if remote else chunks:
            path = index.parent / str(chunk["filename"])
            size = path.stat().st_size if path.is_file() else 0
            if size != chunk["chunk_bytes"]:
                raise UserError(f"{path}: has {size} bytes, not {chunk['chunk_bytes']}; copy or write it again")

    @cached_property
    def has_sharp(self) -> bool:
        return "sharp" in self._items[0]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Pair:
        if not -self._count <= index < self._count:
            raise IndexError(f"pair {index} of {self._count}")
        item = self._items[index % self._count]
        if not isinstance(item, dict) or not {"blurry", NAME} <= item.keys():
            raise UserError(f"{self.location}: not pairs; write them with prepare pack store=litdata")
        # litdata's tensors are in read-only memory: writing into one would kill the process.
        images = {key: value.clone() for key, value in item.items() if key != NAME}
        blurry = images.pop("blurry")
        return Pair(blurry, images.pop("sharp", blurry), item[NAME], images)

    def __getstate__(self) -> dict[str, Any]:
        """Without litdata's reader: each process opens its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_items"}

    @cached_property
    def _items(self) -> Any:
        # Harmless, since tensors are cloned above.
        warnings.filterwarnings("ignore", "The given buffer is not writable", module="litdata")
        try:
            return _litdata("litdata").StreamingDataset(self.location, batch_decode=0)
        except Exception as error:  # each object store's library has its own exceptions
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{self.location}: cannot be opened ({reason})") from error


def _check_index(index: Path, location: str) -> list[dict[str, Any]]:
    """The chunks listed in an index, after checking that their items are only tensors and strings."""
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        config, chunks = content["config"], list(content["chunks"])
        unsafe = [str(kind) for kind in config["data_format"] if str(kind).partition(":")[0] not in HARMLESS]
        unsafe += [key for key in ("compression", "encryption") if config.get(key)]
        unsafe += [str(chunk["filename"]) for chunk in chunks if Path(chunk["filename"]).name != chunk["filename"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{location}/index.json: is not a litdata index; write it again with overwrite=true") from error
    if unsafe:
        raise UserError(
            f"{location}: refused: has entries that prepare pack never writes ({', '.join(unsafe)}); write it again"
        )
    return chunks


def _litdata(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError("litdata is not installed: pip install 'jdrl_lightning[litdata]'") from error
