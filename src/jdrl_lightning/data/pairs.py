"""The user's own pairs: ``{train,val,test}/{blur,gt}`` or flat ``blur/`` and ``gt/``, checked before they are used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

from torch.utils.data import Dataset

from jdrl_lightning.data.decoded import Decoded
from jdrl_lightning.data.images import SUFFIXES, header, image_files, read_image
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

__all__ = ["FolderPairs", "Place", "find_pairs", "share"]

Split = Literal["train", "val", "test"]
TREE = "expected {train,val,test}/{blur,gt} in it, or blur/ and gt/"


class Place(NamedTuple):
    """Where one pair lies; the name is the blurry file's, without suffix."""

    name: str
    blurry: Path
    sharp: Path


class FolderPairs(Dataset[Pair]):
    """Blurry and sharp photographs in two folders, whole and with the bits that the files have.

    A flat ``root/{blur,gt}`` is split by ``val_fraction``; there ``test`` is the same share as ``val``.

    Args:
        root: folder of the pairs.
        split: ``train``, ``val`` or ``test``.
        pair_by: ``name``: partners have the same name, suffixes aside; ``order``: both folders sorted by name.
        val_fraction: share of a flat folder that is kept from training, at least one pair each side, in (0, 1).
        crop: side of the training crops, px; no picture may be smaller. None: any size.
        verify: decode every file once now; what was decoded before is known by path, size and time.
        cache_dir: folder in which that knowledge outlives the process; None: it does not.
        progress: called with (files decoded, files to decode).

    Raises:
        UserError: a folder or partner is missing, sizes differ, a file cannot be read, a picture is too small.
    """

    def __init__(
        self,
        root: str | Path,
        split: Split = "train",
        pair_by: Literal["name", "order"] = "name",
        val_fraction: float = 0.1,
        crop: int | None = None,
        verify: bool = True,
        cache_dir: str | Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        folder, flat = _split_folder(Path(root), split)
        places = find_pairs(folder, pair_by)
        self.places = share(places, split, val_fraction, folder) if flat else places
        check_sizes(self.places, crop)
        if verify:
            check_readable(self.places, Decoded(cache_dir), progress)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Pair:
        place = self.places[index]
        return Pair(read_image(place.blurry), read_image(place.sharp), place.name, {})


def find_pairs(folder: Path, pair_by: Literal["name", "order"] = "name") -> list[Place]:
    """The pairs of ``folder/{blur,gt}``, sorted by name.

    Raises:
        UserError: a folder is missing or empty, or a file has no partner.
    """
    blurry, sharp = _files(folder / "blur"), _files(folder / "gt")
    if pair_by == "order":
        if len(blurry) != len(sharp):
            raise UserError(
                f"{folder}: {len(blurry)} files in blur/ but {len(sharp)} in gt/; data.pair_by=order needs as many"
            )
        return [Place(one.stem, one, other) for one, other in zip(blurry, sharp, strict=True)]
    if pair_by != "name":
        raise UserError(f"data.pair_by={pair_by}: must be name or order")
    blurry_by_name, sharp_by_name = _by_name(blurry), _by_name(sharp)
    for here, there, other in ((blurry_by_name, sharp_by_name, "gt"), (sharp_by_name, blurry_by_name, "blur")):
        lonely = [path for name, path in here.items() if name not in there]
        if lonely:
            more = f" (nor have {len(lonely) - 1} more)" if len(lonely) > 1 else ""
            raise UserError(
                f"{lonely[0]}: no partner of that name in {folder / other}{more}; add it, remove the file, or set "
                "data.pair_by=order if the files correspond in sorted order"
            )
    return [Place(name, path, sharp_by_name[name]) for name, path in blurry_by_name.items()]


def share(places: list[Place], split: Split, val_fraction: float, folder: Path) -> list[Place]:
    """The part of a flat folder that belongs to ``split``; ``test`` is ``val``.

    Names are ordered by their hash and the first ``val_fraction`` taken, so a pair added later hardly moves others.

    Raises:
        UserError: fewer than two pairs, or a fraction outside (0, 1).
    """
    if not 0 < val_fraction < 1:
        raise UserError(f"data.val_fraction={val_fraction}: must lie between 0 and 1")
    if len(places) < 2:
        raise UserError(f"{folder}: one pair cannot be split into training and validation; add at least one more")
    count = min(max(round(len(places) * val_fraction), 1), len(places) - 1)
    ordered = sorted(places, key=lambda place: sha256(place.blurry.name.encode()).digest())
    kept = set(ordered[:count])
    return [place for place in places if (place in kept) == (split != "train")]


def check_sizes(places: list[Place], crop: int | None = None) -> None:
    """Read every header.

    Raises:
        UserError: partners of different sizes, or a picture smaller than ``crop``.
    """
    for place in places:
        blurry, sharp = header(place.blurry), header(place.sharp)
        if blurry[:2] != sharp[:2]:
            raise UserError(
                f"{place.blurry} has {blurry.width}x{blurry.height} pixels, its partner {place.sharp} "
                f"{sharp.width}x{sharp.height}; crop or scale them to one size"
            )
        if crop is not None and min(blurry[:2]) < crop:
            raise UserError(
                f"{place.blurry}: {blurry.width}x{blurry.height} pixels are smaller than data.crop={crop}; "
                f"set data.crop={min(blurry[:2])} or less, or remove the pair"
            )


def check_readable(places: list[Place], decoded: Decoded, progress: Callable[[int, int], None] | None = None) -> None:
    """Decode every file that ``decoded`` does not know.

    Raises:
        UserError: a file cannot be decoded.
    """
    files = [path for place in places for path in (place.blurry, place.sharp) if path not in decoded]
    with ThreadPoolExecutor(max_workers=4) as pool:  # the decoders let go of Python's lock
        try:
            for done, path in enumerate(pool.map(_decode, files), start=1):
                decoded.add(path)
                if progress is not None:
                    progress(done, len(files))
        finally:
            pool.shutdown(cancel_futures=True)
            decoded.save()


def _decode(path: Path) -> Path:
    read_image(path)
    return path


def _split_folder(root: Path, split: Split) -> tuple[Path, bool]:
    """The folder that holds ``split``, and whether it holds all splits together."""
    if split not in ("train", "val", "test"):
        raise UserError(f"split={split}: must be train, val or test")
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; set data.root to the folder of your pairs ({TREE})")
    if any((root / name).is_dir() for name in ("train", "val", "test")):
        if not (root / split).is_dir():
            raise UserError(f"{root / split}: no such folder; {TREE}")
        return root / split, False
    if not (root / "blur").is_dir() and not (root / "gt").is_dir():
        raise UserError(f"{root}: holds no pairs; {TREE}")
    return root, True


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; the blurry pictures belong into blur/, the sharp ones into gt/")
    found = image_files(folder)
    if not found:
        raise UserError(f"{folder}: no pictures in it; put in files that end with {', '.join(SUFFIXES)}")
    return found


def _by_name(paths: list[Path]) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in paths:
        if path.stem in names:
            raise UserError(f"{path}: {names[path.stem].name} has the same name; remove or rename one of them")
        names[path.stem] = path
    return names
