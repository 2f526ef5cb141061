"""Writing pairs as images into the folders that ``data=folder`` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jdrl_lightning.data.pair_folders import own_splits
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import image_files, write_image
from jdrl_lightning.types import Pair

__all__ = ["FOLDERS", "asked_splits", "check_apart", "clear_pictures", "write_pair"]

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


def check_apart(output: Path, given: Path, key: str) -> None:
    """Check that neither of two folders is in the other.

    Raises:
        UserError: one is; ``key`` names the setting of ``given``.
    """
    source, target = given.resolve(), output.resolve()
    if target == source or target in source.parents or source in target.parents:
        raise UserError(f"output={output} and {key}={given} must not contain each other; give a separate folder")


def asked_splits(
    asked: str | Sequence[str] | None, data: Mapping[str, Any], output: Path, offered: tuple[str, ...]
) -> Sequence[str]:
    """The splits ``asked`` for; by default those of ``offered`` that the data set of the settings ``data`` has.

    Raises:
        UserError: ``output`` and the folder of the data contain each other.
    """
    root = data.get("root")
    if root is not None:
        check_apart(output, Path(root), "data.root")
    if asked:
        return [asked] if isinstance(asked, str) else asked
    return offered if root is None else _there(data, Path(root), offered)


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


def _there(data: Mapping[str, Any], root: Path, offered: tuple[str, ...]) -> tuple[str, ...]:
    if data.get("store", "files") != "files":  # of pictures, other data sets split off a val of their own
        return tuple(split for split in offered if (root / split).is_dir()) or offered
    if data["name"] == "folder":  # the test split of a flat folder has the same pairs as val
        there = own_splits(root, data.get("pairs"))
        return tuple(split for split in offered if split in there) or offered
    return offered
