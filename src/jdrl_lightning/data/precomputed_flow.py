"""Pairs that carry the flow between their whole images, and their blur, measured once before training."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.data.flow_store import FlowStore
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.base import FlowEstimator, both_ways
from jdrl_lightning.types import Pair, to_float

__all__ = ["WithFlow", "unmoved"]

SHARE = 4  # flow is smooth: learned estimators themselves compute it at a quarter or an eighth of the resolution


class WithFlow(Dataset[Pair]):
    """The same pairs with the flow from ``blurry`` to ``sharp`` and back as extras ``there`` and ``back``.

    The flow of every pair is measured at construction and stored at a quarter of the resolution in half precision: half
    a byte per pixel, 0.9 MB for 1680×1120. :func:`.crop` upsamples what it cuts out. With ``radius`` its blur, too: an
    eighth of a byte.

    Args:
        pairs: map-style data set of single samples.
        estimator: of flow, px.
        device: to measure on.
        skip: whether a pair that cannot be read is an error only when it is accessed.
        progress: called with (pairs done, all pairs).
        store: where flow that has been measured is kept; None: nowhere.
        share: rank and number of processes that measure the same pairs; each begins at its own share, and finds in
            ``store`` what the others have measured by then.
        restore: makes a sharper image ``(3, H, W)`` of a blurry one before its flow is measured.
        radius: makes ``(1, 1, H, W)`` of a float pair in a batch of one and its flow both ways: the extra ``radius``.

    Raises:
        UserError: a pair cannot be read.
    """

    def __init__(
        self,
        pairs: Dataset[Pair],
        estimator: FlowEstimator,
        device: torch.device,
        skip: bool = False,
        progress: Callable[[int, int], None] | None = None,
        store: FlowStore | None = None,
        share: tuple[int, int] = (0, 1),
        restore: Callable[[Tensor], Tensor] | None = None,
        radius: Callable[[Pair, Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self.pairs = pairs
        count = len(pairs)  # type: ignore[arg-type]
        flows = [torch.empty(4 if radius is None else 5, 0, 0, dtype=torch.half)] * count
        self._broken: dict[int, str] = {}
        for done in range(count):
            index = (done + count * share[0] // share[1]) % count
            try:
                pair = pairs[index]
            except UserError as error:
                if not skip:
                    raise UserError(f"{error}; data.on_error=skip trains without it") from error
                self._broken[index] = str(error)
            else:
                kept = None if store is None else store.read(pair)
                if kept is None:
                    kept = _measured(pair, estimator, device, restore, radius)
                    if store is not None:
                        store.write(pair, kept)
                flows[index] = kept
            if progress is not None:
                progress(done + 1, count)
        self._shapes = [tuple(flow.shape) for flow in flows]
        # One tensor: spawned workers receive each tensor through a file descriptor of its own.
        self.flows = torch.cat([flow.flatten() for flow in flows])
        self._starts = [0, *accumulate(map(prod, self._shapes))]

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, index: int) -> Pair:
        if index in self._broken:
            raise UserError(self._broken[index])
        pair, shape, start = self.pairs[index], self._shapes[index], self._starts[index]
        carried = self.flows[start : start + prod(shape)].view(shape).float()
        extras = {**pair.extras, "there": carried[:2], "back": carried[2:4]}
        return pair._replace(extras=extras | {"radius": carried[4:]} if len(carried) > 4 else extras)


def _measured(
    pair: Pair,
    estimator: FlowEstimator,
    device: torch.device,
    restore: Callable[[Tensor], Tensor] | None,
    radius: Callable[[Pair, Tensor, Tensor], Tensor] | None,
) -> Tensor:
    blurry, sharp = (to_float(image.to(device))[None] for image in (pair.blurry, pair.sharp))
    clearer = blurry if restore is None else restore(blurry[0]).clamp(0, 1)[None]
    there, back = both_ways(estimator, clearer, sharp, together=False)
    if radius is None:
        return _small(torch.cat([there, back], dim=1))
    extras = {name: to_float(image.to(device))[None] for name, image in pair.extras.items()}
    return _small(torch.cat([there, back, radius(Pair(blurry, sharp, [str(pair.name)], extras), there, back)], dim=1))


def _small(flow: Tensor) -> Tensor:
    return F.interpolate(flow, [-(-side // SHARE) for side in flow.shape[-2:]], mode="area")[0].half().cpu()


def unmoved(pair: Pair) -> Pair:
    """``pair`` carrying zero flow and no blur, where only the time of a step matters."""
    zero = torch.zeros_like(pair.blurry, dtype=torch.float32)
    flow, radius = zero[..., :2, :, :], zero[..., :1, :, :]
    return pair._replace(extras={**pair.extras, "there": flow, "back": flow, "radius": radius})
