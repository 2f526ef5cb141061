"""Announces and records the objective's stages, and refuses to resume with edited past stages."""

from __future__ import annotations

import logging
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from jdrl_lightning.errors import UserError
from jdrl_lightning.objectives.schedule import Schedule, Stage

__all__ = ["StageCallback", "schedule_of"]

log = logging.getLogger(__name__)


def schedule_of(pl_module: L.LightningModule) -> Schedule:
    """The schedule of the module's objective, for any module with an ``objective``."""
    objective: Any = pl_module.objective
    return objective.schedule


class StageCallback(Callback):
    """Follows the schedule of ``pl_module.objective``, in any LightningModule with an ``objective``.

    Stateless: the stage is a function of the epoch. Logs each change of stage; the checkpoint stores the schedule.
    """

    def __init__(self) -> None:
        self._announced: Stage | None = None
        self._past: dict[str, Any] | None = None
        self._state: dict[str, Any] = {}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """On resume, check the schedule against the stored one."""
        if self._past is None:
            return
        now, reached = schedule_of(pl_module), int(self._past["epoch"])
        past = [stage for stage in self._past["schedule"] if stage["start"] <= reached]
        if past != [stage for stage in now.plain() if stage["start"] <= reached]:
            done = ", ".join(f"{stage['name']} from epoch {stage['start']}" for stage in past)
            raise UserError(
                f"the checkpoint was trained to epoch {reached} with other stages ({done}) than objective.schedule has "
                "now; stages that have started cannot be edited: restore the objective's settings or start a new run"
            )

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Announce a change of stage."""
        schedule = schedule_of(pl_module)
        stage = schedule.at(trainer.current_epoch)
        self._state = {"stage": stage.name, "epoch": trainer.current_epoch, "schedule": schedule.plain()}
        if stage is self._announced:
            return
        self._announced = stage
        weights = ", ".join(f"{name} × {weight:g}" for name, weight in stage.weights.items())
        if trainer.is_global_zero:
            log.info(
                "epoch %d: stage %s (flow from %s; %s)", trainer.current_epoch, stage.name, stage.flow_source, weights
            )

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Log the stage as a metric; not at the epoch's start, which is skipped when resuming in mid-epoch."""
        schedule = schedule_of(pl_module)
        number = float(schedule.stages.index(schedule.at(trainer.current_epoch)))
        on_device = torch.full((), number, device=pl_module.device)  # copying a plain number would synchronize
        pl_module.log("stage", on_device, on_step=False, on_epoch=True, batch_size=1)

    def state_dict(self) -> dict[str, Any]:
        return dict(self._state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict:
            self._past = dict(state_dict)
            self._state = dict(state_dict)  # resuming in mid-epoch skips on_train_epoch_start
