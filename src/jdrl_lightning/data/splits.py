"""Held-out pairs for data sets without a validation split."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from jdrl_lightning.data.pairing import PairPaths
from jdrl_lightning.errors import UserError

__all__ = ["hash_split", "tail_split"]


def hash_split(
    places: list[PairPaths],
    split: str,
    val_fraction: float,
    folder: Path,
    group: Callable[[PairPaths], str] | None = None,
) -> list[PairPaths]:
    """The pairs in ``folder`` that belong to ``split``; ``test`` equals ``val``.

    Groups are ordered by the hash of their name and the first ``val_fraction`` of them held out, so that adding pairs
    later moves few of the others.

    Args:
        group: name of the group of a pair; groups are not divided between splits. Default: a group is the
            pairs of a sharp image, named after the first blurry one.

    Raises:
        UserError: fewer than two groups, or a fraction outside (0, 1).
    """
    group = group or _by_sharp(places)
    names = sorted({group(place) for place in places}, key=lambda name: sha256(name.encode()).digest())
    kept = set(names[: _held_out(len(names), val_fraction, folder)])
    return [place for place in places if (group(place) in kept) == (split != "train")]


def tail_split(places: list[PairPaths], split: str, val_fraction: float, folder: Path) -> list[PairPaths]:
    """Like ``hash_split``, but hold out the last pairs: for sequences whose neighbours show the same scene.

    Raises:
        UserError: fewer than two pairs, or a fraction outside (0, 1).
    """
    cut = len(places) - _held_out(len(places), val_fraction, folder)
    return places[:cut] if split == "train" else places[cut:]


def _by_sharp(places: list[PairPaths]) -> Callable[[PairPaths], str]:
    firsts: dict[Path | None, str] = {}
    for place in places:
        firsts.setdefault(place.sharp, place.blurry.name)
    return lambda place: firsts[place.sharp]


def _held_out(count: int, val_fraction: float, folder: Path) -> int:
    if not 0 < val_fraction < 1:
        raise UserError(f"data.val_fraction={val_fraction}: must be between 0 and 1")
    if count < 2:
        raise UserError(f"{folder}: cannot split one pair into training and validation; add at least one more scene")
    return min(max(round(count * val_fraction), 1), count - 1)
