"""An objective's stored settings, for a machine that has none of the files of its training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.base import Unavailable

__all__ = ["objective_from_here"]


def objective_from_here(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings ``config["objective"]`` without what only training needs, if its files are missing here.

    Raises:
        UserError: there are none.
    """
    if "objective" not in config:
        raise UserError(
            "trained in Python, without the settings of its objective; jdrl_lightning.load(<file>) takes the network"
        )
    objective = dict(config["objective"])
    if isinstance(objective.get("flow"), Mapping):
        try:
            flow.create(**objective["flow"])
        except UserError as error:  # restoring needs no flow; training does, and raises this then
            objective["flow"] = Unavailable(str(error))
    file = objective.get("perceptual_file")
    if objective.get("perceptual_weight") and not (file and Path(file).is_file()):
        objective["perceptual_weight"] = 0.0  # neither does it need this term, which has nothing trained
    return objective
