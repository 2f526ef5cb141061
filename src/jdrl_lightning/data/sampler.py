"""Batch composition as a pure function of (seed, epoch, rank), so that a run can be resumed in mid-epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import Dataset, Sampler

from jdrl_lightning.types import Pair

__all__ = ["STAND_IN", "BatchPlan", "Evened", "RankShare"]

Key = tuple[int, int]

STAND_IN = ""  # the name of padding pairs, which no metric counts


class BatchPlan(Sampler[list[Key]]):
    """Batches of ``(epoch, item)`` keys; ``item`` numbers the crops of an epoch, ``repeat`` for each pair.

    The global batch is a contiguous run of the epoch's order, divided among the ranks: two ranks with half the batch
    size see the same as one. The last, incomplete batch is dropped.

    Args:
        size: number of pairs.
        batch_size: crops per rank and batch.
        seed: seed of the order.
        repeat: crops per pair and epoch.
        shuffle: use another random order in each epoch.
        rank, world_size: of this process.
        position: returns ``(epoch, batches already done in it)`` at the start of each epoch.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        repeat: int = 1,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        position: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self.size, self.batch_size, self.seed, self.repeat, self.shuffle = size, batch_size, seed, repeat, shuffle
        self.rank, self.world_size, self.position = rank, world_size, position

    def __len__(self) -> int:
        return self.size * self.repeat // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, done = self.position()
        count = self.size * self.repeat
        order = np.random.default_rng((self.seed, epoch)).permutation(count) if self.shuffle else np.arange(count)
        for batch in range(done, len(self)):
            start = (batch * self.world_size + self.rank) * self.batch_size
            yield [(epoch, int(item)) for item in order[start : start + self.batch_size]]


class RankShare(Sampler[int]):
    """Every ``world_size``-th index starting at ``rank``: over all ranks, each index exactly once."""

    def __init__(self, size: int, rank: int = 0, world_size: int = 1) -> None:
        self.indices = range(rank, size, world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


class Evened(Dataset[Pair]):
    """``pairs``, padded with stand-ins so that each rank gets equally many.

    A rank that ran out of images would block the others: some strategies communicate in every forward pass.
    """

    def __init__(self, pairs: Dataset[Pair], world_size: int) -> None:
        self.pairs, self.size = pairs, len(pairs)  # type: ignore[arg-type]
        self._length = -(-self.size // world_size) * world_size

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Pair:
        return self.pairs[index] if index < self.size else self.pairs[self.size - 1]._replace(name=STAND_IN)
