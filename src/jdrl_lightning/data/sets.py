"""The data sets by name, as a config asks for them: one function each, ``split`` and ``seed`` first."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress
from torch.utils.data import Dataset

from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

__all__ = ["folder"]


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


def _registered(pairs: Dataset[Pair], register: str) -> Dataset[Pair]:
    """With ``register=affine``, each sharp image moved onto its blurry one by one affine map: the simple remedy."""
    if register == "none":
        return pairs
    if register != "affine":
        raise UserError(f"data.register={register!r} is neither none nor affine")
    from jdrl_lightning.data.registration import Registered
    from jdrl_lightning.flow.gauss_newton import GaussNewton

    return Registered(pairs, GaussNewton(dense=False))
