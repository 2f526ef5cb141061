"""What a folder holds: pairs in a known layout, a published data set, focus stacks, or photos without partners."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, NamedTuple

from jdrl_lightning.data.pair_folders import SHARP_OR_BLURRY, published_name, split_folder, subfolders
from jdrl_lightning.data.pair_list import SPLITS, read_pair_list
from jdrl_lightning.data.stack_pairs import LIST, valid_path
from jdrl_lightning.data.storage.pack_index import FILE as PACKED
from jdrl_lightning.errors import UserError, and_more
from jdrl_lightning.io.folder import SUFFIXES, image_files
from jdrl_lightning.io.image import read_image
from jdrl_lightning.metrics.misalignment import ALIKE, scene_likeness
from jdrl_lightning.preparation.stack_folders import find_stacks
from jdrl_lightning.types import to_float

__all__ = ["Layout", "recognise"]

TEST_ONLY = ("realdof", "pixeldp", "cuhk")
LOOKED_AT = 3  # stacks
COMMAND = "python -m jdrl_lightning"


class Layout(NamedTuple):
    """What there is, in words, and the settings of ``data``; or, with none, the command to run first or instead."""

    what: str
    data: dict[str, Any] | None
    instead: str = ""


def recognise(folder: Path) -> Layout:
    """Which data set ``folder`` is, by the names in it; only focus stacks are told by what they show.

    Raises:
        UserError: no such folder, or nothing in it that is known.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give input=<folder of pairs or of photos>")
    root = str(folder.absolute())
    if (folder / LIST).is_file():
        return _listed(folder, root)
    if any((folder / split / PACKED).is_file() for split in SPLITS):
        return Layout("pairs packed by prepare pack", {"name": "folder", "root": root, "store": "packed"})
    if (name := published_name(folder)) in TEST_ONLY:
        evaluate = f"{COMMAND}.evaluate ckpt_path=latest data={name} data.root={shlex.quote(root)} split=test"
        return Layout(f"{name}, a data set for testing only: evaluate a trained network on it", None, evaluate)
    if name is not None:
        return Layout(f"the published data set {name}", {"name": name, "root": root})
    if _has_pairs(folder):
        return Layout("pairs in folders", {"name": "folder", "root": root})
    if (stacks := _stacks(folder)) is not None:
        output = shlex.quote(f"output={folder.absolute().name}_pairs")
        prepare = f"{COMMAND}.prepare stack {shlex.quote(f'input={root}')} {output}"
        return Layout(f"frames of {stacks} focus stacks: make pairs of them, and give me those", None, prepare)
    if image_files(folder) or ((folder / "train").is_dir() and image_files(folder / "train")):
        return Layout("photos without partners", {"name": "photos", "root": root})
    inside = and_more([f"{path.name}/" for path in subfolders(folder)]) or "nothing"
    raise UserError(
        f"{folder}: neither pairs ({{train,val,test}}/{{blur,gt}}, blur/ and gt/, {LIST}) nor photos "
        f"({', '.join(SUFFIXES[:4])}, …); found {inside}"
    )


def _listed(folder: Path, root: str) -> Layout:
    places = [place for split in read_pair_list(folder / LIST).values() for place in split]
    if places and all(place.sharp is not None and valid_path(place.sharp).is_file() for place in places):
        return Layout("pairs of focus stacks", {"name": "stack", "root": root})
    return Layout(f"pairs listed in {LIST}", {"name": "folder", "root": root, "pairs": LIST})


def _has_pairs(folder: Path) -> bool:
    """Whether there are folders of blurry or sharp images where one's own pairs have them."""
    try:
        inside = split_folder(folder, "train")[0]
    except UserError:
        return False
    return any(path.name.lower() in SHARP_OR_BLURRY for path in subfolders(inside))


def _stacks(folder: Path) -> int | None:
    """The number of focus stacks in ``folder``, whose frames show one scene each; None: there are none."""
    try:
        stacks = find_stacks(folder)
    except UserError:
        return None
    return len(stacks) if all(map(_alike, list(stacks.values())[:LOOKED_AT])) else None


def _alike(files: list[Path]) -> bool:
    first, other = (to_float(read_image(file))[None] for file in (files[0], files[len(files) // 2]))
    return scene_likeness(first, other) > ALIKE
