"""Writing pairs as images into the folders that ``data=folder`` reads."""

from __future__ import annotations

from pathlib import Path

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import image_files, write_image
from jdrl_lightning.types import Pair

__all__ = ["FOLDERS", "clear_pictures", "write_pair"]

FOLDERS = ("blur", "gt")


def clear_pictures(folder: Path, overwrite: bool) -> None:
    """Check that the folders of a split have no images; with ``overwrite``, delete existing ones.

    Raises:
        UserError: there are images and ``overwrite`` is off.
    """
    existing = [path for name in FOLDERS if (folder / name).is_dir() for path in image_files(folder / name)]
    if existing and not overwrite:
        raise UserError(f"{existing[0]}: exists; give another output=… or overwrite=true")
    for path in existing:
        path.unlink()


def write_pair(folder: Path, pair: Pair) -> None:
    """Write a sample's blurry and sharp image as PNG under the pair's name, at their bit depth.

    Raises:
        UserError: the file exists, so two pairs have the same name.
    """
    for name, image in zip(FOLDERS, (pair.blurry, pair.sharp), strict=True):
        path = folder / name / f"{pair.name}.png"
        if path.exists():
            raise UserError(f"{path}: two pairs have this name; rename the files of one of them")
        write_image(path, image)
