"""Pairs as litdata's chunks, raw, for data sets that lie in an object store or do not fit one machine's disk.

litdata reads any kind of item, pickled ones too. Here only tensors and strings are, and the index is checked for that
before anything else is read.
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

HARMLESS = {"tensor", "str"}  # litdata's names of the kinds of values that are read
NAME = "name"  # among an item's keys, beside "blurry", "sharp" and the extras


def stream(
    pairs: Dataset[Pair],
    folder: Path,
    chunk_bytes: int = 2**26,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write every pair of one split into ``folder`` as litdata's chunks.

    Without ``index.json``, which comes last, it is unfinished: the next call begins anew.

    Args:
        pairs: map-style data set of single samples.
        folder: of one split, on a disk; copy it into the object store afterwards.
        chunk_bytes: a chunk is at most this large if several pairs fit.
        overwrite: replace what litdata wrote there before.
        progress: called with (pairs done, all pairs).

    Returns:
        How many pairs there are.

    Raises:
        UserError: litdata is not installed, or the folder is finished and ``overwrite`` is off.
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
    """The pairs that ``stream`` wrote, by their number; a pair is read whole, from an object store by its bytes alone.

    Args:
        root: the folder that was written, or where it was copied to (``s3://…``, ``gs://…``).
        split: ``train``, ``val`` or ``test``.

    Attributes:
        has_sharp: whether there are sharp pictures. If not, ``sharp`` is the blurry picture again.

    Raises:
        UserError: litdata is not installed, nothing was written there, a chunk is missing or truncated, or an item is
            of a kind that could run code when it is read.
    """

    def __init__(self, root: str | Path, split: str) -> None:
        self.place = f"{str(root).rstrip('/')}/{split}"
        remote = "://" in self.place
        _litdata("litdata")
        if not remote and not (Path(self.place) / "index.json").is_file():
            raise UserError(
                f"{self.place}/index.json: no such file; make it with python -m jdrl_lightning.prepare pack "
                f"store=litdata data.root=<pairs> output={root}"
            )
        index = Path(self._items.input_dir.path) / "index.json"  # of an object store, litdata's copy
        chunks = _checked(index, self.place)
        self._count = sum(int(chunk["chunk_size"]) for chunk in chunks)
        for chunk in () if remote else chunks:
            path = index.parent / str(chunk["filename"])
            size = path.stat().st_size if path.is_file() else 0
            if size != chunk["chunk_bytes"]:
                raise UserError(f"{path}: has {size} bytes, not {chunk['chunk_bytes']}; copy or write it anew")

    @cached_property
    def has_sharp(self) -> bool:
        return "sharp" in self._items[0]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Pair:
        if not -self._count <= index < self._count:
            raise IndexError(f"{index} is none of {self._count} pairs")
        item = self._items[index % self._count]
        if not isinstance(item, dict) or not {"blurry", NAME} <= item.keys():
            raise UserError(f"{self.place}: holds no pairs; write it with prepare pack store=litdata")
        # litdata's own tensors lie in memory that may not be written: whoever tried would end the process.
        images = {key: value.clone() for key, value in item.items() if key != NAME}
        blurry = images.pop("blurry")
        return Pair(blurry, images.pop("sharp", blurry), item[NAME], images)

    def __getstate__(self) -> dict[str, Any]:
        """Without litdata's reader: every process opens its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_items"}

    @cached_property
    def _items(self) -> Any:
        warnings.filterwarnings(
            "ignore", "The given buffer is not writable", module="litdata"
        )  # nobody writes: see above
        try:
            return _litdata("litdata").StreamingDataset(self.place, batch_decode=0)
        except Exception as error:  # every object store's library has exceptions of its own
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{self.place}: cannot be opened ({reason})") from error


def _checked(index: Path, place: str) -> list[dict[str, Any]]:
    """The chunks that an index lists, once it is known that there is nothing but tensors and strings in them."""
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        config, chunks = content["config"], list(content["chunks"])
        strange = [str(kind) for kind in config["data_format"] if str(kind).partition(":")[0] not in HARMLESS]
        strange += [key for key in ("compression", "encryption") if config.get(key)]
        strange += [str(chunk["filename"]) for chunk in chunks if Path(chunk["filename"]).name != chunk["filename"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{place}/index.json: is no index of litdata's; write it anew with overwrite=true") from error
    if strange:
        raise UserError(f"{place}: refused for what prepare pack never writes ({', '.join(strange)}); write it anew")
    return chunks


def _litdata(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError("litdata is not installed: pip install 'jdrl_lightning[litdata]'") from error
