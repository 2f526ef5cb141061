"""The data sets by name, as a config asks for them: one function each, ``split`` and ``seed`` first."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rich.progress import Progress
from torch.utils.data import Dataset

from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.misalignment import Misalignment, preset
from jdrl_lightning.data.synthetic.photographs import dead_leaves, from_folder, from_scikit_image
from jdrl_lightning.data.synthetic.render import MASTER, Optics
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

__all__ = ["folder", "leaves", "photos"]


def folder(
    split: str,
    seed: int,
    crop: int | None,
    root: str | Path,
    pair_by: str = "name",
    val_fraction: float = 0.1,
    register: str = "none",
) -> Dataset[Pair]:
    """The user's own pairs; see :class:`FolderPairs`. They do not depend on ``seed``; only training is cropped."""
    with Progress(transient=True) as progress:
        task = progress.add_task(f"checking the {split} pairs of {root}", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        cropped = crop if split == "train" else None
        pairs = FolderPairs(root, split, pair_by, val_fraction, cropped, progress=show)  # type: ignore[arg-type]
    return _registered(pairs, register)


def photos(
    split: str,
    seed: int,
    crop: int | None,
    root: str | Path | None = None,
    frames_per_photo: dict[str, int] | None = None,
    frame: int = 256,
    misalignment: str = "nonrigid",
    amplitude: float = 1.0,
    blur_px: float = 7.0,
    gain: float = 0.03,
    white_balance: float = 0.01,
    read_noise: float = 0.0005,
    shot_noise: float = 0.0001,
    register: str = "none",
) -> Dataset[Pair]:
    """Pairs rendered on real photographs: scikit-image's, or those in ``root``; settings as in conf/data/photos."""
    place, count = None if root is None else str(root), (frames_per_photo or {}).get(split, 1)
    optics, displaced = Optics(blur_px, gain, white_balance, read_noise, shot_noise), preset(misalignment, amplitude)
    pairs = _rendered("photos", place, split, MASTER * (crop or 1), seed, count, frame, optics, displaced)
    return _registered(pairs, register)


def leaves(
    split: str,
    seed: int,
    crop: int | None,
    frames_per_photo: dict[str, int] | None = None,
    frame: int = 256,
    misalignment: str = "nonrigid",
    amplitude: float = 1.0,
    blur_px: float = 7.0,
    gain: float = 0.03,
    white_balance: float = 0.01,
    read_noise: float = 0.0005,
    shot_noise: float = 0.0001,
    register: str = "none",
) -> Dataset[Pair]:
    """The same on dead-leaves textures, which need no file."""
    count = (frames_per_photo or {}).get(split, 1)
    optics, displaced = Optics(blur_px, gain, white_balance, read_noise, shot_noise), preset(misalignment, amplitude)
    return _registered(_rendered("leaves", None, split, 0, seed, count, frame, optics, displaced), register)


@lru_cache(maxsize=8)  # a process that trains several times on the same pairs renders them once
def _rendered(
    kind: str,
    root: str | None,
    split: str,
    smallest_px: int,
    seed: int,
    frames_per_photo: int,
    frame: int,
    optics: Optics,
    misalignment: Misalignment,
) -> RenderedPairs:
    if kind == "leaves":
        photographs = dead_leaves(split, seed)
    else:
        photographs = from_scikit_image(split) if root is None else from_folder(root, split, smallest_px)
    pairs = RenderedPairs(photographs, seed, frames_per_photo, frame, optics, misalignment)
    with Progress(transient=True) as progress:
        task = progress.add_task(f"rendering the {split} pairs")
        pairs.prerender(lambda done, total: progress.update(task, completed=done, total=total))
    return pairs


def _registered(pairs: Dataset[Pair], register: str) -> Dataset[Pair]:
    """With ``register=affine``, each sharp image moved onto its blurry one by one affine map: the simple remedy."""
    if register == "none":
        return pairs
    if register != "affine":
        raise UserError(f"data.register={register!r} is neither none nor affine")
    from jdrl_lightning.data.registration import Registered
    from jdrl_lightning.flow.gauss_newton import GaussNewton

    return Registered(pairs, GaussNewton(dense=False))
