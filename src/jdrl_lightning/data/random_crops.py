"""Random crops of training pairs, with replacements for pairs that have become unreadable."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from jdrl_lightning.data.augment import augment
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

__all__ = ["TrainingCrops"]

log = logging.getLogger(__name__)

MAX_WORKERS = 1024


class TrainingCrops(Dataset[Pair]):
    """Random crops, flips, 90° rotations and exposures; ``crops[(epoch, item)]`` is a pure function of its key, the
    seed and, with ``skip``, the set of readable pairs.

    Args:
        pairs: map-style data set of single samples; with a method ``at(epoch, index)``, others in each epoch.
        crop: see :func:`augment`.
        seed: seed of the crops.
        augmented: see :func:`augment`; False: every epoch has the same crops.
        rule: see :func:`augment`.
        recolor: see :func:`augment`.
        skip: replace an unreadable pair by another one, drawn from (seed, epoch, item).

    Raises:
        UserError: a pair cannot be read; with ``skip``, no pair can be read.
    """

    def __init__(
        self,
        pairs: Dataset[Pair],
        crop: int,
        seed: int,
        augmented: bool = True,
        rule: str = "uniform",
        recolor: bool = False,
        skip: bool = False,
    ) -> None:
        self.pairs, self.crop, self.seed, self.augmented, self.rule = pairs, crop, seed, augmented, rule
        self.recolor, self.skip = recolor, skip
        # In shared memory, one counter for each loader worker.
        self._skipped = torch.zeros(MAX_WORKERS if skip else 1, dtype=torch.int64).share_memory_()
        self._logged: set[str] = set()

    @property
    def skipped(self) -> int:
        """The number of crops replaced so far, over all loader workers."""
        return int(self._skipped.sum())

    def __getitem__(self, key: tuple[int, int]) -> Pair:
        epoch, item = key
        epoch = epoch if self.augmented else 0
        count = len(self.pairs)  # type: ignore[arg-type]
        try:
            return self._crop(item % count, epoch, item)
        except UserError as error:
            if not self.skip:
                raise UserError(f"{error}; data.on_error=skip trains without it") from error
            self._log_skipped(error)
        for other in np.random.default_rng((self.seed, epoch, item, 1)).permutation(count):
            try:
                return self._crop(int(other), epoch, item)
            except UserError as error:
                self._log_skipped(error, count=False)
        raise UserError(f"none of the {count} training pairs can be read; see the log for each")

    def _crop(self, index: int, epoch: int, item: int) -> Pair:
        fresh: Any = self.pairs
        pair = fresh.at(epoch, index) if hasattr(fresh, "at") else fresh[index]
        return augment(pair, self.crop, self.seed, epoch, item, self.augmented, self.rule, self.recolor)

    def _log_skipped(self, error: UserError, count: bool = True) -> None:
        worker = get_worker_info()
        self._skipped[worker.id if worker else 0] += int(count)
        if str(error) not in self._logged:
            self._logged.add(str(error))
            log.warning("skipped: %s", error)
