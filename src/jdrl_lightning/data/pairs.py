"""Pairs of pictures on disk, checked before they are used; and the user's own, in ``blur/`` and ``gt/``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset

from jdrl_lightning.data.decode_cache import Decoded
from jdrl_lightning.data.pairing import PairPaths, match_by_name, pictures
from jdrl_lightning.data.splits import hash_split
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, read_image
from jdrl_lightning.types import Pair

__all__ = ["FilePairs", "FolderPairs", "find_pairs"]

Split = Literal["train", "val", "test"]
SMALLEST_PX = 7  # of a picture that is measured
TREE = "expected {train,val,test}/{blur,gt} in it, or blur/ and gt/"


class FilePairs(Dataset[Pair]):
    """The photographs at ``places``, whole and with the bits that the files have.

    Args:
        places: where each pair lies; either all have a sharp picture or none, either all have views or none.
        crop: side of the training crops, px; no picture may be smaller. None: any size.
        verify: decode every file once now; what was decoded before is known by path, size and time.
        cache_dir: folder in which that knowledge outlives the process; None: it does not.
        progress: called with (files decoded, files to decode).

    Attributes:
        has_sharp: whether there are sharp pictures. If not, ``sharp`` is the blurry picture again.

    Raises:
        UserError: sizes differ, a file cannot be read, a picture is too small.
    """

    def __init__(
        self,
        places: list[PairPaths],
        crop: int | None = None,
        verify: bool = True,
        cache_dir: str | Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.places = places
        self.has_sharp = all(place.sharp is not None for place in places)
        check_sizes(places, crop)
        if verify:
            check_readable(places, Decoded(cache_dir), progress)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Pair:
        place = self.places[index]
        blurry = read_image(place.blurry)
        sharp = blurry if place.sharp is None else read_image(place.sharp)
        views = zip(("left", "right"), place.views or (), strict=False)
        return Pair(blurry, sharp, place.name, {side: read_image(path) for side, path in views})


class FolderPairs(FilePairs):
    """Blurry and sharp photographs in two folders: ``{train,val,test}/{blur,gt}``, or flat ``blur/`` and ``gt/``.

    A flat ``root/{blur,gt}`` is split by ``val_fraction``; there ``test`` is the same share as ``val``.

    Args:
        root: folder of the pairs.
        split: ``train``, ``val`` or ``test``.
        pair_by: ``name``: partners have the same name, suffixes aside; ``order``: both folders sorted by name.
        val_fraction: share of a flat folder that is kept from training, at least one pair each side, in (0, 1).
        crop, verify, cache_dir, progress: see :class:`FilePairs`.

    Raises:
        UserError: a folder or partner is missing, or see :class:`FilePairs`.
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
        if flat:
            places = hash_split(places, split, val_fraction, folder)
        super().__init__(places, crop, verify, cache_dir, progress)
        if split == "val":  # a training measures these, after its first epoch; evaluate has its own rules
            check_measurable(places)


def find_pairs(folder: Path, pair_by: Literal["name", "order"] = "name") -> list[PairPaths]:
    """The pairs of ``folder/{blur,gt}``, sorted by name.

    Raises:
        UserError: a folder is missing or empty, or a file has no partner.
    """
    where = "the blurry pictures belong into blur/, the sharp ones into gt/"
    blurry, sharp = (pictures(folder / kind, where) for kind in ("blur", "gt"))
    if pair_by == "name":
        return match_by_name(blurry, sharp, ", or set data.pair_by=order if the files correspond in sorted order")
    if pair_by != "order":
        raise UserError(f"data.pair_by={pair_by}: must be name or order")
    if len(blurry) != len(sharp):
        raise UserError(
            f"{folder}: {len(blurry)} files in blur/ but {len(sharp)} in gt/; data.pair_by=order needs as many"
        )
    return [PairPaths(one.stem, one, other) for one, other in zip(blurry, sharp, strict=True)]


def check_sizes(places: list[PairPaths], crop: int | None = None) -> None:
    """Read every header.

    Raises:
        UserError: partners of different sizes, or a picture smaller than ``crop``.
    """
    for place in places:
        blurry = header(place.blurry)
        for partner, other in ((path, header(path)) for path in place.partners()):
            if blurry[:2] != other[:2]:
                raise UserError(
                    f"{place.blurry} has {blurry.width}x{blurry.height} pixels, its partner {partner} "
                    f"{other.width}x{other.height}; crop or scale them to one size"
                )
        if crop is not None and min(blurry[:2]) < crop:
            raise UserError(
                f"{place.blurry}: {blurry.width}x{blurry.height} pixels are smaller than data.crop={crop}; "
                f"set data.crop={min(blurry[:2])} or less, or remove the pair"
            )


def check_measurable(places: list[PairPaths]) -> None:
    """Refuse pictures too small for the measures of a validation.

    Raises:
        UserError: a side is shorter than SSIM's window.
    """
    for place in places:
        height, width, _ = header(place.blurry)
        if min(height, width) < SMALLEST_PX:
            raise UserError(
                f"{place.blurry}: {width}x{height} pixels are too few to be measured, {SMALLEST_PX} a side are needed "
                "(SSIM); remove the pair"
            )


def check_readable(
    places: list[PairPaths], decoded: Decoded, progress: Callable[[int, int], None] | None = None
) -> None:
    """Decode every file that ``decoded`` does not know.

    Raises:
        UserError: a file cannot be decoded.
    """
    every = (path for place in places for path in (place.blurry, *place.partners()))
    files = [path for path in dict.fromkeys(every) if path not in decoded]  # several pairs may share a sharp picture
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
