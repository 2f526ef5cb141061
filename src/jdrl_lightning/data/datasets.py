"""Factories of the data sets ``folder``, ``photos`` and ``leaves``, called with ``split`` and ``seed`` first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import Dataset

from jdrl_lightning.data.open_pairs import Show, opened, progress, registered
from jdrl_lightning.data.pair_folders import own_splits
from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.data.synthetic import camera as cameras
from jdrl_lightning.data.synthetic.camera import Optics
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.fresh import FreshPairs
from jdrl_lightning.data.synthetic.misalignment import Misalignment, preset
from jdrl_lightning.data.synthetic.photographs import Photograph, dead_leaves, from_folder, from_scikit_image
from jdrl_lightning.data.synthetic.render import MASTER
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
    store: str = "files",
    pairs: str | Path | None = None,
) -> Dataset[Pair]:
    """The user's own pairs; see :class:`FolderPairs`. ``seed`` is unused; only training pairs are cropped.

    Opening the training split also checks the test split if there is one, rather than after the training.
    """
    if split == "train" and store == "files" and "test" in own_splits(Path(root), pairs):
        folder("test", seed, crop, root, pair_by, val_fraction, pairs=pairs)
    cropped = crop if split == "train" else None

    def files(show: Show) -> Dataset[Pair]:
        return FolderPairs(root, split, pair_by, val_fraction, cropped, show, pairs)  # type: ignore[arg-type]

    return opened(files, split, root, register, store)


class Source(NamedTuple):
    """A deferred call that loads photographs; hashable, so that equal sources are rendered once."""

    photographs: Callable[..., list[Photograph]]
    arguments: tuple[str | int, ...]

    def load(self) -> list[Photograph]:
        """The photographs; their pixels are read later."""
        return self.photographs(*self.arguments)


def _rendered(source: Callable[..., Source]) -> Callable[..., Dataset[Pair]]:
    """Make a data set factory that renders pairs on the photographs of ``source``, whose settings it takes too.

    What is None is the ``camera``'s; ``optics`` may hold any field of :class:`~.camera.Optics`. Of several cameras each
    frame is taken with one, drawn evenly. With ``fresh`` the training frames are others in each epoch.
    """

    def create(
        split: str,
        seed: int,
        crop: int | None,
        *,
        frames_per_photo: dict[str, int] | None = None,
        frame: int = 256,
        misalignment: str = "nonrigid",
        amplitude: float = 1.0,
        camera: str | Sequence[str] = "default",
        optics: Mapping[str, float] | None = None,
        blur_px: float | None = None,
        gain: float | None = None,
        white_balance: float | None = None,
        read_noise: float | None = None,
        shot_noise: float | None = None,
        register: str = "none",
        fresh: bool = False,
        **own: Any,
    ) -> Dataset[Pair]:
        photographs = source(split, seed, crop, **own)  # also rejects unknown settings, under its own name
        if frames_per_photo is not None and not isinstance(frames_per_photo, Mapping):
            raise UserError(
                f"data.frames_per_photo={frames_per_photo!r} must be set for each split; give "
                f"data.frames_per_photo.{split}={frames_per_photo!r}"
            )
        if split == "train" and crop is not None and crop > frame:
            raise UserError(f"data.crop={crop} is larger than data.frame={frame}; lower data.crop or raise data.frame")
        count = (frames_per_photo or {}).get(split, 1)
        set_here = {
            "blur_px": blur_px,
            "gain": gain,
            "white_balance": white_balance,
            "read_noise": read_noise,
            "shot_noise": shot_noise,
            **(optics or {}),
        }
        names = [camera] if isinstance(camera, str) else list(camera)
        taken = tuple(cameras.camera(name, **set_here) for name in names)
        moved = preset(misalignment, amplitude)
        if fresh and split == "train":
            if register != "none":
                raise UserError(
                    "data.fresh=true: frames that change with the epoch are not registered; set data.register=none"
                )
            return FreshPairs(RenderedPairs(photographs.load(), seed, count, frame, taken, moved))
        pairs = _rendered_once(photographs, split, seed, count, frame, taken, moved)
        if register == "none":
            return pairs
        warped = registered(pairs, register)
        in_memory: Any = [warped[index] for index in range(len(pairs))]  # otherwise every crop would warp again
        return in_memory

    create.__name__, create.__qualname__, create.__doc__ = source.__name__, source.__qualname__, source.__doc__
    return create


@_rendered
def photos(split: str, seed: int, crop: int | None, root: str | Path | None = None, leaves: int = 0) -> Source:
    """Pairs rendered from photographs: scikit-image's, or those in ``root``; settings in conf/data/photos.

    ``leaves`` dead-leaves textures join the photographs for training.
    """
    more = leaves if split == "train" else 0
    if root is None:
        return Source(_with_leaves, (more, seed, "", split, 0))
    return Source(_with_leaves, (more, seed, str(root), split, MASTER * (crop or 1)))


@_rendered
def leaves(split: str, seed: int, crop: int | None) -> Source:
    """Pairs rendered from dead-leaves textures, which need no files."""
    return Source(dead_leaves, (split, seed))


def _with_leaves(count: int, seed: int, root: str, split: str, smallest_px: int) -> list[Photograph]:
    taken = from_folder(root, split, smallest_px) if root else from_scikit_image(split)
    return taken + dead_leaves(split, seed)[:count]


@lru_cache(maxsize=8)  # a process with several trainings on the same pairs renders them once
def _rendered_once(
    source: Source,
    split: str,
    seed: int,
    frames_per_photo: int,
    frame: int,
    optics: tuple[Optics, ...],
    misalignment: Misalignment,
) -> RenderedPairs:
    pairs = RenderedPairs(source.load(), seed, frames_per_photo, frame, optics, misalignment)
    with progress(f"rendering the {split} pairs") as show:
        pairs.prerender(show)
    return pairs
