"""The files of a pair, and matching the files of two folders by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.folder import SUFFIXES, image_files

__all__ = ["PairPaths", "match_by_name", "pictures"]

_NUMBERED = re.compile(r"(.+)_[0-9]+")


class PairPaths(NamedTuple):
    """The files of one pair.

    Attributes:
        name: the blurry file's name without suffix.
        blurry: the blurry image.
        sharp: the sharp image; None if the data set has none.
        views: left and right dual-pixel view of the blurry image, if requested.
    """

    name: str
    blurry: Path
    sharp: Path | None
    views: tuple[Path, Path] | None = None

    def partners(self) -> list[Path]:
        """All files except the blurry image."""
        return [path for path in (self.sharp, *(self.views or ())) if path is not None]


def pictures(folder: Path, remedy: str) -> list[Path]:
    """The image files directly in ``folder``, sorted by name.

    Raises:
        UserError: no such folder (the message ends with ``remedy``), or no images in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {remedy}")
    found = image_files(folder)
    if not found:
        raise UserError(f"{folder}: no images in it; supported are {', '.join(SUFFIXES)}")
    return found


def match_by_name(blurry: list[Path], sharp: list[Path], otherwise: str = "") -> list[PairPaths]:
    """Match partners by name, ignoring suffixes; both lists are non-empty.

    A blurry image ``<name>_<digits>`` without a partner of just this name belongs to the sharp image ``<name>``, as do
    others like it: the frames of a burst or a focus stack.

    Raises:
        UserError: a file has no partner (the message ends with ``otherwise``), or two files have the same name.
    """
    blurry_by_name, sharp_by_name = _index_by_name(blurry), _index_by_name(sharp)
    partners = {name: _partner(name, sharp_by_name) for name in blurry_by_name}
    alone = [blurry_by_name[name] for name, partner in partners.items() if partner is None]
    matched = set(partners.values())
    for unmatched, others in ((alone, sharp), ([path for path in sharp if path not in matched], blurry)):
        if unmatched:
            more = f" (nor for {len(unmatched) - 1} more)" if len(unmatched) > 1 else ""
            raise UserError(
                f"{unmatched[0]}: no partner with this name in {others[0].parent}{more}; add it or remove the file"
                f"{otherwise}"
            )
    return [PairPaths(name, path, partners[name]) for name, path in blurry_by_name.items()]


def _partner(name: str, sharp: dict[str, Path]) -> Path | None:
    numbered = _NUMBERED.fullmatch(name)
    return sharp.get(name) or (sharp.get(numbered[1]) if numbered else None)


def _index_by_name(paths: list[Path]) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in paths:
        if path.stem in names:
            raise UserError(f"{path}: {names[path.stem].name} has the same name; remove or rename one of them")
        names[path.stem] = path
    return names
