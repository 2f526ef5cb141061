"""Matching partners whose names differ by their order: a camera numbers consecutive shots of a scene."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

from jdrl_lightning.errors import UserError

__all__ = ["Shots", "match_in_order", "natural", "shots"]

Shots = dict[str, dict[str, Path]]  # files by photograph, then by crop number

MOST_APART = 2  # largest difference of two partners' numbers; in DPDD it is 1, and 2 for two pairs
_VIEW = re.compile(r"_[LRC]$")
_CROP = re.compile(r"(.+)-(\d+)")


def natural(name: str) -> tuple[list[str | int], str]:
    """Sort key with numbers compared by value: 2 before 10."""
    parts = re.split(r"(\d+)", name)  # every second part is a number
    return [int(part) if position % 2 else part for position, part in enumerate(parts)], name


def shots(files: list[Path], cropped: bool = False) -> Shots:
    """Group files by photograph and crop, in natural order: 2 before 10.

    ``1P0A0859_L.png`` is the left view of the photograph ``1P0A0859``; if the images are ``cropped``,
    ``1P0A0859_L-12.png`` or ``1P0A0859-12_L.png`` is its crop 12. The crop number of a whole image is "".

    Raises:
        UserError: two files have the same name.
    """
    found: Shots = {}
    for path in files:
        name, crop = _VIEW.sub("", path.stem), ""
        if cropped and (cut := _CROP.fullmatch(name)):
            name, crop = _VIEW.sub("", cut[1]), str(int(cut[2]))
        crops = found.setdefault(name, {})
        if crop in crops:
            raise UserError(f"{path}: {crops[crop].name} has the same name; remove or rename one of them")
        crops[crop] = path
    return {name: _sorted(found[name]) for name in sorted(found, key=natural)}


def match_in_order(ours: Shots, theirs: Shots) -> dict[Path, Path]:
    """The partner in ``theirs`` of each file of ``ours``: photographs match by order, crops by number.

    Raises:
        UserError: a photograph or crop has no partner.
    """
    found: dict[Path, Path] = {}
    for one, other in zip_longest(ours, theirs):
        if other is None or (one is not None and _ahead(other, one) > MOST_APART):
            raise _unmatched(one, ours, theirs)
        if one is None or _ahead(one, other) > MOST_APART:
            raise _unmatched(other, theirs, ours)
        for these, those, folder in ((ours[one], theirs[other], theirs), (theirs[other], ours[one], ours)):
            for crop in [crop for crop in these if crop not in those]:
                raise UserError(f"{these[crop]}: no crop {crop} in {_folder(folder)}; add it or remove the file")
        found |= {path: theirs[other][crop] for crop, path in ours[one].items()}
    return found


def _sorted(crops: dict[str, Path]) -> dict[str, Path]:
    return {crop: crops[crop] for crop in sorted(crops, key=natural)}


def _ahead(one: str, other: str) -> int:
    """How much larger the trailing number of ``one`` is; 0 if a name has none, so that only the order counts."""
    numbers = [re.search(r"\d+$", name) for name in (one, other)]
    if numbers[0] is None or numbers[1] is None:
        return 0
    return int(numbers[0][0]) - int(numbers[1][0])


def _unmatched(name: str, these: Shots, those: Shots) -> UserError:
    counts = f"{len(these)} photographs here, {len(those)} there"
    return UserError(
        f"{_first(these[name])}: no partner in {_folder(those)} ({counts}; paired in order of names, numbers at most "
        f"{MOST_APART} apart); add the missing file (its partner, or an earlier one) or remove this one"
    )


def _first(crops: dict[str, Path]) -> Path:
    return next(iter(crops.values()))


def _folder(found: Shots) -> Path:
    return _first(next(iter(found.values()))).parent
