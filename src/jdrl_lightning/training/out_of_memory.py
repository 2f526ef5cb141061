"""Remedies for running out of GPU memory, chosen by the settings of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["what_helps"]


def what_helps(config: Mapping[str, Any]) -> str:
    """One line with the remedies that ``config`` does not use yet, cheapest first."""
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
    validation = "validation restores whole images: if it runs out of memory, use smaller validation images"
    return f"out of GPU memory; try {', or '.join(remedies)}; {validation}"
