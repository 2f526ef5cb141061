"""Pairs written as pictures in the folders that ``data=folder`` reads."""

from __future__ import annotations

from pathlib import Path

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import image_files, write_image
from jdrl_lightning.types import Pair

__all__ = ["FOLDERS", "claim", "write_pair"]

FOLDERS = ("blur", "gt")


def claim(folder: Path, overwrite: bool) -> None:
    """Make sure that the folders of one split hold no pictures yet; with ``overwrite`` remove those that are there.

    Raises:
        UserError: there are pictures, and ``overwrite`` is off.
    """
    there = [path for name in FOLDERS if (folder / name).is_dir() for path in image_files(folder / name)]
    if there and not overwrite:
        raise UserError(f"{there[0]}: exists; give another output=… or overwrite=true")
    for path in there:
        path.unlink()


def write_pair(folder: Path, pair: Pair) -> None:
    """Write a single sample's blurry and sharp picture as PNG, with the bits that they have, under the pair's name.

    Raises:
        UserError: the name is taken, so two pairs have the same one.
    """
    for name, image in zip(FOLDERS, (pair.blurry, pair.sharp), strict=True):
        path = folder / name / f"{pair.name}.png"
        if path.exists():
            raise UserError(f"{path}: two pairs have this name; rename the files of one of them")
        write_image(path, image)
