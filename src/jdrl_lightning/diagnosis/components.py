"""Builds the configured backbone, flow estimator and objective, to check that they work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jdrl_lightning import backbones, flow, objectives
from jdrl_lightning.errors import UserError

__all__ = ["tried"]


def tried(config: Mapping[str, Any]) -> dict[str, str | UserError]:
    """For each component, a one-line description or the error of building it."""
    found: dict[str, str | UserError] = {}
    for name, make in (("backbone", _backbone), ("flow", _flow), ("objective", _objective)):
        try:
            found[name] = f"{config[name]['name']}: {make(dict(config[name]))}"
        except UserError as error:
            found[name] = error
    return found


def _backbone(settings: dict[str, Any]) -> str:
    weights = settings.pop("weights", None)
    built = backbones.create(**settings)
    loaded = f"{backbones.load_weights(built, weights).n_tensors} tensors loaded" if weights else "no weights set"
    return f"{sum(p.numel() for p in built.parameters()):,} parameters, {loaded}; {built.licence}"


def _flow(settings: dict[str, Any]) -> str:
    return flow.create(**settings).licence


def _objective(settings: dict[str, Any]) -> str:
    stages = objectives.create(**settings).schedule.stages
    return ", ".join(f"{stage.name} from epoch {stage.start}" for stage in stages)
