"""Pairs made of focus stacks by ``prepare stack``: blurry frames, a sharp picture, and where to trust it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch.utils.data import Dataset

from jdrl_lightning.data.open_pairs import Show, opened
from jdrl_lightning.data.pairs import FilePairs, check_measurable, listed_pairs
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, read_image
from jdrl_lightning.types import Pair

__all__ = ["LIST", "StackPairs", "stack", "valid_path"]

LIST = "pairs.csv"


class StackPairs(FilePairs):
    """The pairs that ``root/pairs.csv`` lists for ``split``; the extra ``valid`` is 1 where ``sharp`` can be trusted.

    Args:
        root: output of ``prepare stack``.
        split: ``train``, ``val`` or ``test``.
        crop, progress: see :class:`FilePairs`.

    Raises:
        UserError: no such list or split, a mask is missing or of another size, or see :class:`FilePairs`.
    """

    def __init__(
        self, root: Path, split: str, crop: int | None = None, progress: Callable[[int, int], None] | None = None
    ) -> None:
        if not (root / LIST).is_file():
            raise UserError(f"{root / LIST}: no such file; set data.root to the output of prepare stack")
        super().__init__(listed_pairs(root / LIST, split), crop, progress)
        for place in self.places:
            assert place.sharp is not None
            mask = valid_path(place.sharp)
            if header(mask)[:2] != header(place.sharp)[:2]:
                raise UserError(f"{mask}: not of the size of {place.sharp}; repeat prepare stack with overwrite=true")
        if split == "val":
            check_measurable(self.places)

    def __getitem__(self, index: int) -> Pair:
        sharp = self.places[index].sharp
        assert sharp is not None
        return super().__getitem__(index)._replace(extras={"valid": read_image(valid_path(sharp))[:1]})


def valid_path(sharp: Path) -> Path:
    """The mask of a sharp picture: ``valid.png`` beside ``sharp.png``, ``valid/x.png`` for ``sharp/x.png``."""
    return sharp.with_name("valid.png") if sharp.stem == "sharp" else sharp.parent.with_name("valid") / sharp.name


def stack(split: str, seed: int, crop: int | None, root: str | Path, store: str = "files") -> Dataset[Pair]:
    """Pairs of focus stacks; see :class:`StackPairs`. ``seed`` is unused; only training pairs are cropped."""

    def files(show: Show) -> Dataset[Pair]:
        return StackPairs(Path(root), split, crop if split == "train" else None, show)

    return opened(files, split, root, "none", store)
