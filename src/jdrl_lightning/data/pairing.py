"""Where the pictures of a pair lie, and which files of two folders are partners by their names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import SUFFIXES, image_files

__all__ = ["PairPaths", "match_by_name", "pictures"]


class PairPaths(NamedTuple):
    """Where one pair lies.

    Attributes:
        name: the blurry file's, without suffix.
        blurry: the blurry picture.
        sharp: its partner; None where the data set has no sharp pictures.
        views: the left and the right dual-pixel view of the blurry picture, where they are asked for.
    """

    name: str
    blurry: Path
    sharp: Path | None
    views: tuple[Path, Path] | None = None

    def partners(self) -> list[Path]:
        """Every file but the blurry one."""
        return [path for path in (self.sharp, *(self.views or ())) if path is not None]


def pictures(folder: Path, remedy: str) -> list[Path]:
    """The pictures directly in ``folder``, sorted by name.

    Raises:
        UserError: no such folder, which ends with ``remedy``, or no pictures in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {remedy}")
    found = image_files(folder)
    if not found:
        raise UserError(f"{folder}: no pictures in it; put in files that end with {', '.join(SUFFIXES)}")
    return found


def match_by_name(blurry: list[Path], sharp: list[Path], otherwise: str = "") -> list[PairPaths]:
    """Partners have the same name, suffixes aside; both lists hold a file at least.

    Raises:
        UserError: a file has no partner, a remedy that ends with ``otherwise``; or two files have the same name.
    """
    blurry_by_name, sharp_by_name = _named(blurry), _named(sharp)
    for here, there, other in ((blurry_by_name, sharp_by_name, sharp), (sharp_by_name, blurry_by_name, blurry)):
        lonely = [path for name, path in here.items() if name not in there]
        if lonely:
            more = f" (nor have {len(lonely) - 1} more)" if len(lonely) > 1 else ""
            raise UserError(
                f"{lonely[0]}: no partner of that name in {other[0].parent}{more}; add it or remove the file{otherwise}"
            )
    return [PairPaths(name, path, sharp_by_name[name]) for name, path in blurry_by_name.items()]


def _named(paths: list[Path]) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in paths:
        if path.stem in names:
            raise UserError(f"{path}: {names[path.stem].name} has the same name; remove or rename one of them")
        names[path.stem] = path
    return names
