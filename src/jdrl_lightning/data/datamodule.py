"""Data module: training crops, whole validation images, exact resumption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from jdrl_lightning.data.augment import collate
from jdrl_lightning.data.flow_store import FlowStore
from jdrl_lightning.data.kept_pairs import KeptPairs
from jdrl_lightning.data.loader_worker import prepare_worker
from jdrl_lightning.data.open_pairs import progress
from jdrl_lightning.data.precomputed_flow import WithFlow
from jdrl_lightning.data.random_crops import TrainingCrops
from jdrl_lightning.data.sampler import BatchPlan, Evened, RankShare
from jdrl_lightning.data.synthetic.fresh import FreshPairs
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.types import Pair

__all__ = ["PairDataModule", "TrainingCrops"]

EPOCH = 400  # crops, with repeat=None: a hundred steps of four


class PairDataModule(L.LightningDataModule):
    """Batches for training, validation and test.

    Args:
        pairs: ``pairs(split)`` returns the map-style data set of ``train``, ``val`` or ``test``.
        crop: side of the square training crops, px.
        crop_rule: ``uniform``, or ``official`` as in the published code; see :func:`augment`.
        batch_size: crops per step and device.
        repeat: crops per training pair and epoch; None: as many as make an epoch of 400 crops, at least one.
        augment: flips, 90° rotations and new crops in each epoch; if off, every epoch has the same crops.
        recolor: a random exposure and channel order, the same for both images of a pair: for few photographs.
        shuffle: use another random order in each epoch.
        num_workers: loader workers; 0 loads in the main process. With fresh frames, processes that
            render ahead; 0 renders an epoch's frames at its start, on the GPU if that trains.
        on_error: ``stop``, or ``skip``: replace a training pair that has become unreadable by another. Validation and
            test images are never replaced, since the metrics would then be means over other images.
        seed: seed of order and crops.

    Raises:
        UserError: a number that is not whole or too small, or an unknown rule.
    """

    def __init__(
        self,
        pairs: Callable[[str], Dataset[Pair]],
        crop: int = 256,
        crop_rule: str = "uniform",
        batch_size: int = 1,
        repeat: int | None = 1,
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
        for key, value, minimum in (
            ("crop", crop, 1),
            ("batch_size", batch_size, 1),
            ("repeat", 1 if repeat is None else repeat, 1),
            ("num_workers", num_workers, 0),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                raise UserError(
                    f"data.{key}={value!r} is not a whole number of at least {minimum}; "
                    f"set data.{key}={minimum} or more"
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
        """The data set of a split, created once."""
        if split not in self._sets:
            self._sets[split] = self._pairs(split)
        return self._sets[split]

    def measure(
        self,
        estimator: FlowEstimator,
        device: torch.device,
        folder: Path | None = None,
        share: tuple[int, int] = (0, 1),
        restore: Callable[[Tensor], Tensor] | None = None,
        how: str = "",
        radius: Callable[[Pair, Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        """Add the flow between the whole images, and their blur, to the training pairs, see :class:`WithFlow`.

        Args:
            estimator: of flow.
            device: to measure on.
            folder: where flow that has been measured is kept; None: nowhere.
            share: rank and number of the processes.
            restore: see :class:`WithFlow`.
            how: tells what ``restore`` and ``radius`` make from what others would.
            radius: see :class:`WithFlow`.

        Raises:
            UserError: a pair cannot be read, whole images do not fit the device's memory, or the pairs are fresh.
        """
        if isinstance(self.pairs("train"), FreshPairs):
            raise UserError(
                "data.fresh=true: the flow of new frames cannot be measured ahead; set objective.flow_of=crop"
            )
        try:
            with progress(f"measuring the flow{' and blur' if radius else ''} of the train pairs") as show:
                self._sets["train"] = WithFlow(
                    self.pairs("train"),
                    estimator,
                    device,
                    self.on_error == "skip",
                    show,
                    None if folder is None else FlowStore(folder, estimator, how),
                    share,
                    restore,
                    radius,
                )
        except torch.OutOfMemoryError as error:
            raise UserError(
                "out of GPU memory while estimating the flow of whole images: set objective.flow_of=crop"
            ) from error

    def setup(self, stage: str) -> None:
        """Open and check the splits that ``stage`` (``fit``, ``validate``, ``test``) needs."""
        for split in {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}.get(stage, ()):
            self.pairs(split)

    def teardown(self, stage: str) -> None:
        """End the processes that render."""
        if isinstance(pairs := self._sets.get("train"), FreshPairs):
            pairs.stop()

    def train_dataloader(self) -> DataLoader[Any]:
        pairs = self.pairs("train")
        size = len(pairs)  # type: ignore[arg-type]
        rank, world = self._rank()
        repeat = -(-EPOCH // size) if self.repeat is None else self.repeat
        plan = BatchPlan(
            size,
            self.batch_size,
            self.seed,
            repeat,
            self.shuffle,
            rank,
            world,
            position=lambda: self._position(plan),
        )
        if not len(plan):
            raise UserError(
                f"{size} training pairs × data.repeat={repeat} are fewer than one batch of data.batch_size="
                f"{self.batch_size} on {world} device(s); raise data.repeat or lower data.batch_size"
            )
        self._crops = self.crops()
        if not isinstance(pairs, FreshPairs):
            self._crops.pairs = KeptPairs(pairs)
        settings = self._loader_settings()
        if isinstance(pairs, FreshPairs):
            if not self.augment:
                raise UserError("data.fresh=true changes the frames, data.augment=false asks for the same: set one")
            pairs.processes = self.num_workers  # they render; cutting crops from memory takes no time
            if not self.num_workers and self.trainer and self.trainer.strategy.root_device.type == "cuda":
                pairs.rendered.device = self.trainer.strategy.root_device
            settings |= {"num_workers": 0, "persistent_workers": False}
        return DataLoader(self._crops, batch_sampler=plan, **settings)

    def crops(self) -> TrainingCrops:
        """The training crops, before batching."""
        skip = self.on_error == "skip"
        pairs = self.pairs("train")
        return TrainingCrops(pairs, self.crop, self.seed, self.augment, self.crop_rule, self.recolor, skip)

    def skipped(self) -> int:
        """The number of crops this process has replaced so far because their pairs could not be read."""
        return 0 if self._crops is None else self._crops.skipped

    def val_dataloader(self) -> DataLoader[Any]:
        return self._whole("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._whole("test")

    def _whole(self, split: str) -> DataLoader[Any]:
        """Whole images in batches of one, since their sizes may differ."""
        rank, world = self._rank()
        pairs = Evened(self.pairs(split), world)
        return DataLoader(pairs, batch_size=1, sampler=RankShare(len(pairs), rank, world), **self._loader_settings())

    def _loader_settings(self) -> dict[str, Any]:
        pinned = self.trainer is not None and str(self.trainer.strategy.root_device).startswith("cuda")
        return {
            "num_workers": self.num_workers,
            "collate_fn": collate,
            "pin_memory": pinned,
            "persistent_workers": self.num_workers > 0,
            "worker_init_fn": prepare_worker,
        }

    def _rank(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _position(self, plan: BatchPlan) -> tuple[int, int]:
        """(epoch, batches done in it), from the trainer's progress.

        Epochs are counted by those completed, which is right whenever a checkpoint can be written. The batch count of
        the current epoch is not reset yet when the loader creates its first iterator.
        """
        if self.trainer is None:
            return 0, 0
        loop: Any = self.trainer.fit_loop
        limit, epochs = self.trainer.limit_train_batches, loop.epoch_progress.current
        epoch_length = min(len(plan), limit) if isinstance(limit, int) else int(len(plan) * limit)
        # The batch count belongs to this epoch only if it has started and not ended.
        done = loop.epoch_loop.batch_progress.current.processed if epochs.ready > epochs.processed else 0
        return (epochs.processed, done) if done < epoch_length else (epochs.processed + 1, 0)
