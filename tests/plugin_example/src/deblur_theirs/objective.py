"""Absolute difference to the sharp image, once it is warped onto the output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jdrl_lightning import flow as flows
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.objectives import Objective, Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored


class Aligned(Objective):
    known_terms = ("aligned",)

    def __init__(self, flow: FlowEstimator | Mapping[str, Any], warmup_epochs: int = 1) -> None:
        weights = {"aligned": 1.0}
        super().__init__(
            Schedule((Stage("warmup", 0, "blurry", weights), Stage("joint", warmup_epochs, "restored", weights)))
        )
        self.flow = flow if isinstance(flow, FlowEstimator) else flows.create(**flow)

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        placed = pair.blurry if stage.flow_source == "blurry" else restored.images[0]
        motion = self.flow(placed, pair.sharp)
        aligned = warp(pair.sharp, motion)
        terms = {"aligned": (restored.images[0] - aligned).abs().mean()}
        return Losses(self.weigh(terms, stage), terms, {"aligned": aligned})
