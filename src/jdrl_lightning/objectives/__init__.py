"""What a network is trained for: JDRL in its published and our forms, and plain supervision."""

from __future__ import annotations

import lazy_loader

from jdrl_lightning.registry import Registry

_PRESETS = "jdrl_lightning.objectives.presets"
_registry = Registry(
    "objective",
    {
        name: f"{_PRESETS}:{name}"
        for name in ("jdrl", "jdrl_official", "jdrl_robust", "charbonnier", "l1", "mse", "cobi")
    }
    | {
        "shift_search": "jdrl_lightning.objectives.shift_search:ShiftSearch",
        "contextual": "jdrl_lightning.objectives.contextual:Contextual",
        "fdl": "jdrl_lightning.objectives.fdl:FrequencyDistribution",
    },
    group="jdrl_lightning.objectives",
)
names = _registry.names
create = _registry.create

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": ["Objective"],
        "contextual": ["Contextual"],
        "fdl": ["FrequencyDistribution"],
        "jdrl": ["JDRL"],
        "schedule": ["Schedule", "Stage"],
        "shift_search": ["ShiftSearch"],
        "supervised": ["Supervised"],
    },
)
__all__ = [
    "JDRL", "Contextual", "FrequencyDistribution", "Objective", "Schedule", "ShiftSearch", "Stage", "Supervised",
    "create", "names",
]  # fmt: skip
