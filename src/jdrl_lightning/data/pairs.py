"""Pairs of image files, checked up front; and the user's own pairs, in folders or in a list."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset

from jdrl_lightning.data.decode_cache import is_checked, mark_checked
from jdrl_lightning.data.pair_folders import both_sides, published_hint, split_folder
from jdrl_lightning.data.pair_list import read_pair_list
from jdrl_lightning.data.pairing import PairPaths, match_by_name
from jdrl_lightning.data.splits import hash_split
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, read_image
from jdrl_lightning.io.remarks import remark
from jdrl_lightning.types import Pair

__all__ = ["FilePairs", "FolderPairs", "find_pairs"]

Split = Literal["train", "val", "test"]
SMALLEST_PX = 7  # side of an image that can be measured: SSIM's window


class FilePairs(Dataset[Pair]):
    """Whole images from the files in ``places``, at the files' bit depth.

    Args:
        places: the files of each pair; all pairs have a sharp image or none has, likewise for views.
        crop: side of the training crops, px; no image may be smaller. None: any size.
        progress: called with (files decoded, files to decode).

    Attributes:
        has_sharp: whether there are sharp images; if not, ``sharp`` is a copy of the blurry image.

    Raises:
        UserError: sizes differ, a file cannot be read, an image is too small.
    """

    def __init__(
        self,
        places: list[PairPaths],
        crop: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.places = places
        self.has_sharp = all(place.sharp is not None for place in places)
        check_sizes(places, crop)
        check_readable(places, progress)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Pair:
        place = self.places[index]
        blurry = read_image(place.blurry)
        sharp = blurry if place.sharp is None else read_image(place.sharp)
        views = zip(("left", "right"), place.views or (), strict=False)
        return Pair(blurry, sharp, place.name, {side: read_image(path) for side, path in views})


class FolderPairs(FilePairs):
    """Blurry and sharp images in two folders: ``{train,val,test}/{blur,gt}``, or flat ``blur/`` and ``gt/``; or a list.

    A flat ``root/{blur,gt}`` is split by ``val_fraction``, all blurry images of a sharp one alike; ``test`` is then the
    same as ``val``.

    Args:
        root: folder of the pairs.
        split: ``train``, ``val`` or ``test``.
        pair_by: ``name``: see :func:`~.pairing.match_by_name`; ``order``: both folders sorted by name.
        val_fraction: fraction of a flat folder held out from training, in (0, 1); each split gets at least one pair.
        crop: see :class:`FilePairs`.
        progress: see :class:`FilePairs`.
        pairs: a CSV file, relative to ``root``, that lists the pairs instead: see :func:`~.pair_list.read_pair_list`.

    Raises:
        UserError: a folder or partner is missing, the list is wrong, or see :class:`FilePairs`.
    """

    def __init__(
        self,
        root: str | Path,
        split: Split = "train",
        pair_by: Literal["name", "order"] = "name",
        val_fraction: float = 0.1,
        crop: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        pairs: str | Path | None = None,
    ) -> None:
        if pairs is not None:
            places = listed_pairs(Path(root) / pairs, split)
        else:
            try:
                folder, flat = split_folder(Path(root), split)
                places = find_pairs(folder, pair_by)
            except UserError as error:
                if hint := published_hint(Path(root)):
                    raise UserError(f"{root}: {hint} ({error})") from error
                raise
            if flat:
                if hint := published_hint(Path(root)):  # its names happen to be those of one's own pairs
                    remark(Path(root), f"{hint}, unless these are pairs of your own")
                places = hash_split(places, split, val_fraction, folder)
        super().__init__(places, crop, progress)
        if split == "val":  # training measures these after its first epoch; evaluate does its own checks
            check_measurable(places)


def find_pairs(folder: Path, pair_by: Literal["name", "order"] = "name") -> list[PairPaths]:
    """The pairs of ``folder/{blur,gt}``, sorted by name.

    Raises:
        UserError: a folder is missing or empty, or a file has no partner.
    """
    blurry, sharp = both_sides(folder)
    if pair_by == "name":
        return match_by_name(blurry, sharp, ", or set data.pair_by=order if the files correspond in sorted order")
    if pair_by != "order":
        raise UserError(f"data.pair_by={pair_by}: must be name or order")
    if len(blurry) != len(sharp):
        raise UserError(
            f"{folder}: {len(blurry)} files in {blurry[0].parent.name}/ but {len(sharp)} in {sharp[0].parent.name}/; "
            "data.pair_by=order needs equal numbers"
        )
    return [PairPaths(path.stem, path, partner) for path, partner in zip(blurry, sharp, strict=True)]


def listed_pairs(file: Path, split: str) -> list[PairPaths]:
    """The pairs of ``split`` in the CSV ``file``.

    Raises:
        UserError: it has none, or see :func:`~.pair_list.read_pair_list`.
    """
    listed = read_pair_list(file)
    if split not in listed:
        raise UserError(f"{file}: no rows with split {split}, only {' and '.join(listed)}; add some")
    return listed[split]


def check_sizes(places: list[PairPaths], crop: int | None = None) -> None:
    """Check the sizes in all headers.

    Raises:
        UserError: partners of different sizes, or an image smaller than ``crop``.
    """
    for place in places:
        blurry = header(place.blurry)
        for partner, other in ((path, header(path)) for path in place.partners()):
            if blurry[:2] != other[:2]:
                raise UserError(
                    f"{place.blurry} has {blurry.width}x{blurry.height} pixels, its partner {partner} "
                    f"{other.width}x{other.height}; crop or resize them to the same size"
                )
        if crop is not None and min(blurry[:2]) < crop:
            raise UserError(
                f"{place.blurry}: {blurry.width}x{blurry.height} pixels are smaller than data.crop={crop}; "
                f"set data.crop={min(blurry[:2])} or less, or remove the pair"
            )


def check_measurable(places: list[PairPaths]) -> None:
    """Check that images are large enough for the metrics of a validation.

    Raises:
        UserError: a side is shorter than SSIM's window.
    """
    for place in places:
        height, width, _ = header(place.blurry)
        if min(height, width) < SMALLEST_PX:
            raise UserError(
                f"{place.blurry}: {width}x{height} pixels are too small for SSIM, which needs {SMALLEST_PX} per side; "
                "remove the pair"
            )


def check_readable(places: list[PairPaths], progress: Callable[[int, int], None] | None = None) -> None:
    """Decode every file that this process has not decoded before.

    Raises:
        UserError: a file cannot be decoded.
    """
    every = (path for place in places for path in (place.blurry, *place.partners()))
    files = [path for path in dict.fromkeys(every) if not is_checked(path)]  # several pairs may share a sharp image
    with ThreadPoolExecutor(max_workers=4) as pool:  # the decoders release the GIL
        try:
            for done, path in enumerate(pool.map(_decode, files), start=1):
                mark_checked(path)
                if progress is not None:
                    progress(done, len(files))
        finally:
            pool.shutdown(cancel_futures=True)


def _decode(path: Path) -> Path:
    read_image(path)
    return path
