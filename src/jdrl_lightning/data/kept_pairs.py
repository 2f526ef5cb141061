"""Few pairs are decoded once: a crop of a large picture would otherwise decode the whole of it each time."""

from __future__ import annotations

from torch.utils.data import Dataset

from jdrl_lightning.types import Pair

__all__ = ["LARGEST_BYTES", "KeptPairs"]

LARGEST_BYTES = 2**29  # in each process that loads


class KeptPairs(Dataset[Pair]):
    """The same pairs, kept in memory from the first access on where all together take at most ``LARGEST_BYTES``.

    Args:
        pairs: map-style data set of single samples.
    """

    def __init__(self, pairs: Dataset[Pair]) -> None:
        self.pairs = pairs
        self._kept: dict[int, Pair] = {}

    def __len__(self) -> int:
        return len(self.pairs)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Pair:
        if index not in self._kept:
            pair = self.pairs[index]
            size = sum(image.nbytes for image in (pair.blurry, pair.sharp, *pair.extras.values()))
            if size * len(self) > LARGEST_BYTES:
                return pair
            self._kept[index] = pair
        return self._kept[index]
