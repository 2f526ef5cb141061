"""Which pairs a batch holds: a pure function of (seed, epoch, rank), so that a run can go on in mid-epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import Dataset, Sampler

from jdrl_lightning.types import Pair

__all__ = ["STAND_IN", "BatchPlan", "Evened", "RankShare"]

Key = tuple[int, int]

STAND_IN = ""  # the name of a pair that counts for nothing


class BatchPlan(Sampler[list[Key]]):
    """Batches of ``(epoch, item)`` keys; ``item`` counts the crops of an epoch, ``repeat`` of each pair.

    The global batch of all ranks is one run of the epoch's order, of which each rank takes its part: two processes
    with half the batch see what one process sees. The last, incomplete batch is dropped.

    Args:
        size: number of pairs.
        batch_size: pairs a rank and batch.
        seed: of the order.
        repeat: crops of each pair an epoch.
        shuffle: whether the order changes from epoch to epoch.
        rank, world_size: this process among all.
        position: says, whenever an epoch is begun, ``(epoch, batches already done in it)``.
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
    """Every ``world_size``-th index from ``rank`` on: all of them once over all ranks, none repeated."""

    def __init__(self, size: int, rank: int = 0, world_size: int = 1) -> None:
        self.indices = range(rank, size, world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


class Evened(Dataset[Pair]):
    """``pairs`` and as many stand-ins as let all processes take equally many; a process that ran out of images would
    be missed by the others, since some networks and strategies talk to each other in every forward pass."""

    def __init__(self, pairs: Dataset[Pair], world_size: int) -> None:
        self.pairs, self.size = pairs, len(pairs)  # type: ignore[arg-type]
        self._length = -(-self.size // world_size) * world_size

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Pair:
        return self.pairs[index] if index < self.size else self.pairs[self.size - 1]._replace(name=STAND_IN)
