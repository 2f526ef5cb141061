"""Random crops of training pairs, and what takes the place of one that cannot be read any more."""

from __future__ import annotations

import logging

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
    """Random crops, flips, quarter turns and exposures; ``crops[(epoch, item)]`` is a pure function of its key, of the
    seed and, with ``skip``, of which pairs can be read.

    Args:
        pairs: map-style data set of single samples.
        crop, augmented, rule, recolor: see :func:`augment`; not augmented, every epoch has the same crops.
        seed: of the crops.
        skip: whether another pair, drawn from (seed, epoch, item), takes the place of one that cannot be read.

    Raises:
        UserError: a pair cannot be read; with ``skip``, none can.
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
        # Loading processes count each in its own place, where the main process sees it.
        self._skipped = torch.zeros(MAX_WORKERS if skip else 1, dtype=torch.int64).share_memory_()
        self._told: set[str] = set()

    @property
    def skipped(self) -> int:
        """How many crops were replaced so far, by all loading processes."""
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
            self._tell(error)
        for other in np.random.default_rng((self.seed, epoch, item, 1)).permutation(count):
            try:
                return self._crop(int(other), epoch, item)
            except UserError as error:
                self._tell(error, count=False)
        raise UserError(f"none of the {count} training pairs can be read; see the log for each")

    def _crop(self, index: int, epoch: int, item: int) -> Pair:
        pair = self.pairs[index]
        return augment(pair, self.crop, self.seed, epoch, item, self.augmented, self.rule, self.recolor)

    def _tell(self, error: UserError, count: bool = True) -> None:
        worker = get_worker_info()
        self._skipped[worker.id if worker else 0] += int(count)
        if str(error) not in self._told:
            self._told.add(str(error))
            log.warning("skipped: %s", error)
