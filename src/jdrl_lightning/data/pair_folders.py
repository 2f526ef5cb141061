"""Where the user's own pairs are: the folder of each split, and in it those of the blurry and the sharp images."""

from __future__ import annotations

from pathlib import Path

from jdrl_lightning.data.pair_list import SPLITS, read_pair_list
from jdrl_lightning.data.pairing import pictures
from jdrl_lightning.errors import UserError, and_more

__all__ = [
    "SHARP_OR_BLURRY",
    "both_sides",
    "own_splits",
    "published_hint",
    "published_name",
    "split_folder",
    "subfolders",
]

BLURRY = ("blur", "blurry", "input", "lq", "source")  # in any case; the first is the documented one
SHARP = ("gt", "sharp", "target", "hq")
SHARP_OR_BLURRY = (*BLURRY, *SHARP)
PUBLISHED = {  # folders that only a published data set has
    "dpdd": ("*_c/target", "*/inputC", "*/inputC_crops"),
    "sdd": ("train_patches/blur",),
    "lfdof": ("*/ground_truth",),
    "realdof": ("[Rr]eal[Dd][Oo][Ff]*/source",),  # one's own pairs may lie in source/ and target/ too
    "pixeldp": ("test_c",),  # after dpdd, which has that too
}
TITLES = {"realdof": "RealDOF", "pixeldp": "PixelDP"}
TREE = "expected subfolders {train,val,test}/{blur,gt}, or blur/ and gt/"


def both_sides(folder: Path) -> tuple[list[Path], list[Path]]:
    """The blurry and the sharp images in the subfolders of ``folder``, each sorted by name.

    Raises:
        UserError: one of the two subfolders is missing, empty or not the only one with such a name.
    """
    remedy = f"put the blurry images into blur/ and the sharp ones into gt/; {_found(folder)}"
    blurry, sharp = (pictures(_side(folder, names), remedy) for names in (BLURRY, SHARP))
    return blurry, sharp


def split_folder(root: Path, split: str) -> tuple[Path, bool]:
    """The folder of ``split``, and whether it is flat, with all splits in it.

    Raises:
        UserError: an unknown split, or no folder for it.
    """
    if split not in SPLITS:
        raise UserError(f"split={split}: must be train, val or test")
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; set data.root to the folder of your pairs ({TREE})")
    if any((root / name).is_dir() for name in SPLITS):
        if not (root / split).is_dir():
            raise UserError(f"{root / split}: no such folder; {TREE}")
        return root / split, False
    if not any(_side(root, names).is_dir() for names in (BLURRY, SHARP)):
        raise UserError(f"{root}: no pairs; {TREE}; {_found(root)}")
    return root, True


def own_splits(root: Path, pairs: str | Path | None = None) -> tuple[str, ...]:
    """The splits that have pairs of their own: in the list ``pairs``, as folders, or, of a flat folder, train and val.

    Raises:
        UserError: see :func:`~.pair_list.read_pair_list`.
    """
    if pairs is not None:
        listed = read_pair_list(root / pairs)
        return tuple(split for split in SPLITS if split in listed)
    return tuple(split for split in SPLITS if (root / split).is_dir()) or SPLITS[:2]


def published_name(root: Path) -> str | None:
    """Which published data set ``root`` is, holds or is a part of, as ``data=`` names it; None: none."""
    here = root.absolute()
    for name, patterns in PUBLISHED.items():
        for folder, prefix in ((here, ""), (here, "*/"), (here.parent, "")):
            found = (path for pattern in patterns for path in folder.glob(prefix + pattern))
            if any(path.is_dir() and path.is_relative_to(here) for path in found):
                return name
    return None


def published_hint(root: Path) -> str | None:
    """:func:`published_name` in words."""
    name = published_name(root)
    return name and f"looks like {TITLES.get(name, name.upper())}, so set data={name}"


def subfolders(folder: Path) -> list[Path]:
    """The subfolders of ``folder`` that are not hidden, sorted by name."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in inside if path.is_dir() and not path.name.startswith("."))


def _side(folder: Path, names: tuple[str, ...]) -> Path:
    """The subfolder of the first name, as documented, if it is there; else the one that has another of ``names``."""
    if (folder / names[0]).is_dir():
        return folder / names[0]
    found = [path for path in subfolders(folder) if path.name.lower() in names]
    if len(found) > 1:
        both = " and ".join(f"{path.name}/" for path in found)
        raise UserError(f"{folder}: {both} are names for the same side of the pairs; keep one of them here")
    return found[0] if found else folder / names[0]


def _found(folder: Path) -> str:
    return f"found {and_more([f'{path.name}/' for path in subfolders(folder)], 6) or 'no subfolders'}"
