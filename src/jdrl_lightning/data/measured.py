"""Pairs that carry the flow between their whole pictures, measured once and for all."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.data.images import to_float
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.types import Pair

__all__ = ["Measured", "unmoved"]

SHARE = 4  # flow is smooth: learned estimators have it at a quarter or an eighth of the resolution themselves


class Measured(Dataset[Pair]):
    """The same pairs with the flow from ``blurry`` to ``sharp`` and back as extras ``there`` and ``back``.

    The flow of every pair is measured at the start and kept at a quarter of the resolution in half precision: half a
    byte a pixel, 0.9 MB for a picture of 1680×1120.

    Args:
        pairs: map-style data set of single samples.
        estimator: of flow, px.
        device: to measure on.
        skip: whether a pair that cannot be read now may wait until it is asked for.
        progress: called with (pairs done, all pairs).

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
    ) -> None:
        self.pairs = pairs
        self.flows: list[Tensor | None] = []
        count = len(pairs)  # type: ignore[arg-type]
        for index in range(count):
            try:
                pair = pairs[index]
            except UserError:
                if not skip:
                    raise
                self.flows.append(None)
                continue
            blurry, sharp = (to_float(image.to(device))[None] for image in (pair.blurry, pair.sharp))
            both = torch.cat([estimator(blurry, sharp), estimator(sharp, blurry)], dim=1)
            small = F.interpolate(both, [-(-side // SHARE) for side in both.shape[-2:]], mode="area")
            self.flows.append(small[0].half().cpu())
            if progress is not None:
                progress(index + 1, count)

    def __len__(self) -> int:
        return len(self.flows)

    def __getitem__(self, index: int) -> Pair:
        pair, flow = self.pairs[index], self.flows[index]
        if flow is None:
            raise UserError(f"{pair.name}: could not be read when the flow of all pairs was measured")
        there, back = F.interpolate(flow[None].float(), pair.blurry.shape[-2:], mode="bilinear")[0].chunk(2)
        return pair._replace(extras={**pair.extras, "there": there, "back": back})


def unmoved(pair: Pair) -> Pair:
    """``pair`` carrying a flow of zero, where only the time that a step takes is asked for."""
    flow = torch.zeros_like(pair.blurry[..., :2, :, :], dtype=torch.float32)
    return pair._replace(extras={**pair.extras, "there": flow, "back": flow})
