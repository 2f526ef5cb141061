"""Partners by the order of their names, where the names differ: a camera numbers the shots of a scene one by one."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

from jdrl_lightning.errors import UserError

__all__ = ["Shots", "beside", "natural", "shots"]

Shots = dict[str, dict[str, Path]]  # files by photograph, then by crop

MOST_APART = 2  # of the numbers of two partners: one nearly always in DPDD, twice two
_VIEW = re.compile(r"_[LRC]$")
_CROP = re.compile(r"(.+)-(\d+)")


def natural(name: str) -> tuple[list[str | int], str]:
    """Key that sorts numbers in names by their value: 2 before 10."""
    parts = re.split(r"(\d+)", name)  # every second part is a number
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def shots(files: list[Path], cropped: bool = False) -> Shots:
    """Files by photograph and crop, in natural order: 2 before 10.

    ``1P0A0859_L.png`` is of the photograph ``1P0A0859``, in its left view; where the pictures are ``cropped``,
    ``1P0A0859_L-12.png`` or ``1P0A0859-12_L.png`` is crop 12 of it. A whole picture's crop is "".

    Raises:
        UserError: two files of one name.
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


def beside(ours: Shots, theirs: Shots) -> dict[Path, Path]:
    """The partner of each of our files: the photographs correspond in order, their crops by number.

    Raises:
        UserError: a photograph or crop has no partner.
    """
    found: dict[Path, Path] = {}
    for one, other in zip_longest(ours, theirs):
        if other is None or (one is not None and _ahead(other, one) > MOST_APART):
            raise _lonely(one, ours, theirs)
        if one is None or _ahead(one, other) > MOST_APART:
            raise _lonely(other, theirs, ours)
        for here, there, folder in ((ours[one], theirs[other], theirs), (theirs[other], ours[one], ours)):
            for crop in [crop for crop in here if crop not in there]:
                raise UserError(f"{here[crop]}: no crop of that number in {_folder(folder)}; add it or remove the file")
        found |= {path: theirs[other][crop] for crop, path in ours[one].items()}
    return found


def _sorted(crops: dict[str, Path]) -> dict[str, Path]:
    return {crop: crops[crop] for crop in sorted(crops, key=natural)}


def _ahead(one: str, other: str) -> int:
    """By how much the number at the end of ``one`` is larger; 0 where a name has none and only the order counts."""
    numbers = [re.search(r"\d+$", name) for name in (one, other)]
    if numbers[0] is None or numbers[1] is None:
        return 0
    return int(numbers[0][0]) - int(numbers[1][0])


def _lonely(name: str, here: Shots, there: Shots) -> UserError:
    counts = f"{len(here)} photographs here, {len(there)} there"
    return UserError(
        f"{_first(here[name])}: no partner is left for it in {_folder(there)} ({counts}; paired in order of names, "
        f"numbers at most {MOST_APART} apart); add what is missing, its partner or one just before, or remove it"
    )


def _first(crops: dict[str, Path]) -> Path:
    return next(iter(crops.values()))


def _folder(found: Shots) -> Path:
    return _first(next(iter(found.values()))).parent
