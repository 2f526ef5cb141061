"""What a network is trained for: JDRL in its published and our forms, and plain supervision."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import lazy_loader

from jdrl_lightning.registry import Registry, made_from

if TYPE_CHECKING:
    from jdrl_lightning.objectives.base import Objective

_PRESETS = "jdrl_lightning.objectives.presets"
_registry = Registry(
    "objective",
    {
        name: f"{_PRESETS}:{name}"
        for name in (
            "jdrl",
            "jdrl_official",
            "jdrl_robust",
            "jdrl_map",
            "jdrl_map_official",
            "charbonnier",
            "l1",
            "mse",
            "psnr",
            "cobi",
            "gcm",
        )
    }
    | {
        "shift_search": "jdrl_lightning.objectives.shift_search:ShiftSearch",
        "contextual": "jdrl_lightning.objectives.contextual:Contextual",
        "mimicked": "jdrl_lightning.objectives.mimicked:Mimicked",
        "fdl": "jdrl_lightning.objectives.fdl:FrequencyDistribution",
    },
    group="jdrl_lightning.objectives",
)
names = _registry.names


def create(
    name: str, perceptual_weight: float = 0.0, perceptual_file: str | os.PathLike[str] | None = None, **settings: Any
) -> Objective:
    """Build the objective ``name``.

    Args:
        name: one of :func:`names`.
        perceptual_weight: of a perceptual term, which any objective can have; 0 loads nothing.
        perceptual_file: torchvision's weights of AlexNet (for LPIPS) or of VGG19.
        settings: the objective's own.

    Raises:
        UserError: an unknown name, an unknown or missing setting, an invalid value, or an unusable file.
    """
    objective: Objective = _registry.create(name, **settings)
    if perceptual_weight:
        from jdrl_lightning.objectives.perceptual import add_perceptual

        add_perceptual(objective, perceptual_weight, perceptual_file)
        (made_from(objective) or {}).update(perceptual_weight=perceptual_weight, perceptual_file=perceptual_file)
    return objective


__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": ["Objective"],
        "contextual": ["Contextual"],
        "fdl": ["FrequencyDistribution"],
        "jdrl": ["JDRL"],
        "jdrl_map": ["JDRLMap"],
        "mimicked": ["Mimicked"],
        "schedule": ["Schedule", "Stage"],
        "shift_search": ["ShiftSearch"],
        "supervised": ["Supervised"],
    },
)
__all__ = [
    "JDRL", "Contextual", "FrequencyDistribution", "JDRLMap", "Mimicked", "Objective", "Schedule", "ShiftSearch",
    "Stage", "Supervised", "create", "names",
]  # fmt: skip
