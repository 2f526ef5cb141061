"""What helps when a GPU's memory is used up, by what the training is set to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["what_helps"]


def what_helps(config: Mapping[str, Any]) -> str:
    """One line with the remedies that the plain ``config`` of a training has left, the cheapest first."""
    data, trainer = config["data"], config["trainer"]
    size, crop = int(data.get("batch_size", 1)), data.get("crop")
    remedies = []
    if str(trainer.get("precision", "32-true")).startswith("32"):
        remedies.append("trainer.precision=bf16-mixed")
    if size > 1:
        half = size // 2
        steps = int(trainer.get("accumulate_grad_batches", 1)) * 2
        remedies.append(f"data.batch_size={half} with trainer.accumulate_grad_batches={steps} (the same step)")
    if crop:
        remedies.append(f"data.crop={int(crop) * 3 // 4 // 16 * 16 or crop // 2}")
    remedies.append("a smaller network")
    validated = "; validation restores whole images: where it is too much there, smaller images are what helps"
    return f"the GPU's memory is used up; try {', or '.join(remedies)}{validated}"
