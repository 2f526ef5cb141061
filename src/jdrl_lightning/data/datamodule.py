"""Pairs to batches: training crops, whole validation images, exact continuation."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader, Dataset

from jdrl_lightning.data.augment import collate
from jdrl_lightning.data.open_pairs import progress
from jdrl_lightning.data.precomputed_flow import WithFlow
from jdrl_lightning.data.random_crops import TrainingCrops
from jdrl_lightning.data.sampler import BatchPlan, Evened, RankShare
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.types import Pair

__all__ = ["PairDataModule", "TrainingCrops"]


class PairDataModule(L.LightningDataModule):
    """Batches for training, validation and test.

    Args:
        pairs: ``pairs(split)`` gives the map-style data set of ``train``, ``val`` or ``test``.
        crop: side of the square training crops, px.
        crop_rule: ``uniform``, or ``official`` for the published code's; see :func:`augment`.
        batch_size: crops a step and device.
        repeat: crops of each training pair an epoch.
        augment: flips, quarter turns and fresh crops each epoch; off, every epoch sees the same crops.
        recolor: a random exposure and order of the colours, the same for a pair's images: for few photographs.
        shuffle: whether the order of training differs from epoch to epoch.
        num_workers: loading processes; 0 loads in the main one.
        on_error: ``stop``, or ``skip``: a training pair that cannot be read any more is replaced by another; images for
            validation and test never are, since their means would be of other images.
        seed: of order and crops.

    Raises:
        UserError: a number that is not whole or too small, or an unknown rule.
    """

    def __init__(
        self,
        pairs: Callable[[str], Dataset[Pair]],
        crop: int = 256,
        crop_rule: str = "uniform",
        batch_size: int = 1,
        repeat: int = 1,
        augment: bool = True,
        recolor: bool = False,
        shuffle: bool = True,
        num_workers: int = 0,
        on_error: str = "stop",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._pairs = pairs
        self._sets: dict[str, Dataset[Pair]] = {}
        for key, value, least in (
            ("crop", crop, 1),
            ("batch_size", batch_size, 1),
            ("repeat", repeat, 1),
            ("num_workers", num_workers, 0),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UserError(
                    f"data.{key}={value!r} is not a whole number of at least {least}; set data.{key}={least} or more"
                )
        if crop_rule not in ("uniform", "official"):
            raise UserError(f"data.crop_rule={crop_rule!r} is neither uniform nor official")
        if on_error not in ("stop", "skip"):
            raise UserError(f"data.on_error={on_error!r} is neither stop nor skip")
        self.crop, self.crop_rule, self.batch_size, self.repeat = crop, crop_rule, batch_size, repeat
        self.augment, self.recolor, self.shuffle = augment, recolor, shuffle
        self.num_workers, self.on_error, self.seed = num_workers, on_error, seed
        self._crops: TrainingCrops | None = None

    def pairs(self, split: str) -> Dataset[Pair]:
        """The data set of a split, made once."""
        if split not in self._sets:
            self._sets[split] = self._pairs(split)
        return self._sets[split]

    def measure(self, estimator: FlowEstimator, device: torch.device) -> None:
        """Have the training pairs carry the flow between their whole pictures, see :class:`WithFlow`.

        Raises:
            UserError: a pair cannot be read, or the device's memory is too small for whole pictures.
        """
        try:
            with progress("measuring the flow of the train pairs") as show:
                self._sets["train"] = WithFlow(self.pairs("train"), estimator, device, self.on_error == "skip", show)
        except torch.OutOfMemoryError as error:
            raise UserError(
                "the GPU's memory is too small for the flow of whole pictures: set objective.flow_of=crop"
            ) from error

    def setup(self, stage: str) -> None:
        """Open the splits that ``stage`` (``fit``, ``validate``, ``test``) needs; wrong data is found here."""
        for split in {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}.get(stage, ()):
            self.pairs(split)

    def train_dataloader(self) -> DataLoader[Any]:
        pairs = self.pairs("train")
        size = len(pairs)  # type: ignore[arg-type]
        rank, world = self._place()
        plan = BatchPlan(
            size,
            self.batch_size,
            self.seed,
            self.repeat,
            self.shuffle,
            rank,
            world,
            position=lambda: self._position(plan),
        )
        if not len(plan):
            raise UserError(
                f"{size} training pairs × data.repeat={self.repeat} do not fill one batch of data.batch_size="
                f"{self.batch_size} on {world} device(s); raise data.repeat or lower data.batch_size"
            )
        self._crops = self.crops()
        return DataLoader(self._crops, batch_sampler=plan, **self._loading())

    def crops(self) -> TrainingCrops:
        """What training draws from, before it is put into batches."""
        skip = self.on_error == "skip"
        pairs = self.pairs("train")
        return TrainingCrops(pairs, self.crop, self.seed, self.augment, self.crop_rule, self.recolor, skip)

    def skipped(self) -> int:
        """How many crops this process has replaced so far because their pairs could not be read."""
        return 0 if self._crops is None else self._crops.skipped

    def val_dataloader(self) -> DataLoader[Any]:
        return self._whole("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._whole("test")

    def _whole(self, split: str) -> DataLoader[Any]:
        """Whole images one by one, since their sizes may differ."""
        rank, world = self._place()
        pairs = Evened(self.pairs(split), world)
        return DataLoader(pairs, batch_size=1, sampler=RankShare(len(pairs), rank, world), **self._loading())

    def _loading(self) -> dict[str, Any]:
        pinned = self.trainer is not None and str(self.trainer.strategy.root_device).startswith("cuda")
        return {
            "num_workers": self.num_workers,
            "collate_fn": collate,
            "pin_memory": pinned,
            "persistent_workers": self.num_workers > 0,
            "worker_init_fn": _steadfast,
        }

    def _place(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _position(self, plan: BatchPlan) -> tuple[int, int]:
        """(epoch, batches done in it) from the trainer's count of all processed batches.

        The total is used because it is right at every moment at which a checkpoint can be written; the current
        epoch's count is not yet reset when the loader's first iterator is made.
        """
        if self.trainer is None:
            return 0, 0
        loop: Any = self.trainer.fit_loop
        limit, epochs = self.trainer.limit_train_batches, loop.epoch_progress.current
        epoch_length = min(len(plan), limit) if isinstance(limit, int) else int(len(plan) * limit)
        # Begun and not ended: only then are the batches counted those of this epoch.
        done = loop.epoch_loop.batch_progress.current.processed if epochs.ready > epochs.processed else 0
        return (epochs.processed, done) if done < epoch_length else (epochs.processed + 1, 0)


def _steadfast(worker: int) -> None:
    """Go on loading when a cluster tells every process to end: the one that trains has a step to end and to save.

    And say nothing when the one that trains is gone: whoever ended it says so.
    """
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    told = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, ConnectionError | EOFError):  # of the thread that hands batches over
            told(kind, error, trace)

    sys.excepthook = hook
