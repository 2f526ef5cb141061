"""Rendered pairs that are others in each epoch, rendered ahead by processes of their own while the epoch is trained."""

from __future__ import annotations

import itertools
import logging
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from jdrl_lightning.data.loader_worker import prepare_worker
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.types import Pair

__all__ = ["FreshPairs"]

log = logging.getLogger(__name__)

Arrays = dict[str, Any]


class FreshPairs(Dataset[Pair]):
    """The frames of one epoch, in memory; those of the next are rendered meanwhile.

    A frame is a pure function of (seed, epoch, index): a resumed training sees the same ones.

    Args:
        rendered: makes the frames.

    Attributes:
        processes: how many render ahead; 0: this one renders an epoch's frames when it starts.
    """

    def __init__(self, rendered: RenderedPairs) -> None:
        self.rendered = rendered
        self.processes = 0
        self._frames: list[Pair] = []
        self._epoch: int | None = None  # of the frames in memory
        self._ahead: list[Iterator[Arrays]] = []  # one, with the frames of the epochs after it
        weakref.finalize(self, self._ahead.clear)  # its processes outlive SIGTERM, so Python would wait for them

    def __len__(self) -> int:
        return len(self.rendered)

    def __getitem__(self, index: int) -> Pair:
        """Frame ``index`` of the first epoch."""
        return self.at(0, index)

    def at(self, epoch: int, index: int) -> Pair:
        """Frame ``index`` of an epoch, counted from 0."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        if epoch != self._epoch:
            if self._epoch is None or epoch != self._epoch + 1:
                log.info("rendering the %d frames of epoch %d", len(self), epoch)
                self._ahead[:] = [self._rendering(epoch)]
            self._frames.clear()  # before the next come, which take as much memory
            self._frames.extend(_pair(arrays) for arrays in itertools.islice(self._ahead[0], len(self)))
            self._epoch = epoch
        return self._frames[index]

    def stop(self) -> None:
        """End the processes that render ahead."""
        self._ahead.clear()
        self._epoch = None

    def _rendering(self, first: int) -> Iterator[Arrays]:
        """All frames from epoch ``first`` on, in order; as many as an epoch has are rendered ahead."""
        self.rendered.load()  # here, so that forked processes share them
        loader: DataLoader[Any] = DataLoader(
            _Frames(self.rendered),
            batch_size=None,
            sampler=((epoch, index) for epoch in itertools.count(first) for index in range(len(self))),
            num_workers=self.processes,
            prefetch_factor=-(-len(self) // self.processes) if self.processes else None,
            collate_fn=_as_it_is,
            worker_init_fn=prepare_worker,
        )
        return iter(loader)


class _Frames(Dataset[Arrays]):
    """Frames by (epoch, index), as arrays: every tensor sent between processes would keep a file open."""

    def __init__(self, rendered: RenderedPairs) -> None:
        self.rendered = rendered

    def __getitem__(self, key: tuple[int, int]) -> Arrays:
        epoch, index = key
        pair = self.rendered.render(index, epoch)
        tensors = {"blurry": pair.blurry, "sharp": pair.sharp, **pair.extras}
        return {"name": pair.name} | {name: tensor.numpy() for name, tensor in tensors.items()}


def _pair(arrays: Arrays) -> Pair:
    name = arrays.pop("name")
    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    return Pair(tensors.pop("blurry"), tensors.pop("sharp"), name, tensors)


def _as_it_is(arrays: Any) -> Any:
    return arrays
