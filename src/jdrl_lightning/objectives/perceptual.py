"""A perceptual term for any objective: the output against the sharp image in the features of a frozen network."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import read_weights
from jdrl_lightning.losses.vgg import FILE as VGG_FILE
from jdrl_lightning.losses.vgg import VggFeatures
from jdrl_lightning.metrics.perceptual import FILE as LPIPS_FILE
from jdrl_lightning.metrics.perceptual import lpips_network
from jdrl_lightning.objectives.base import Objective
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["Perceptual", "add_perceptual"]


def add_perceptual(objective: Objective, weight: float, file: str | os.PathLike[str] | None) -> None:
    """Add the term ``perceptual`` to each stage of ``objective`` that does not freeze the backbone.

    Args:
        objective: changed in place.
        weight: of the term, above 0.
        file: torchvision's weights of AlexNet (the term is LPIPS) or of VGG19; see :class:`Perceptual`.

    Raises:
        UserError: a negative weight, no file, or a file that cannot be used.
    """
    if not weight > 0:
        raise UserError(f"objective.perceptual_weight={weight} is negative; 0 leaves the term out")
    objective.perceptual = Perceptual(file)
    stages = objective.schedule.stages
    objective.schedule = Schedule(
        tuple(s if s.frozen else replace(s, weights={**s.weights, "perceptual": weight}) for s in stages)
    )


class Perceptual:
    """LPIPS with AlexNet, or the mean squared difference of VGG19's ``conv3_4``, whichever the file is for.

    A plain object: the frozen network stays out of checkpoints, DDP's buckets and the optimiser.

    Args:
        file: torchvision's weights.

    Raises:
        UserError: no file is given, it does not exist, or it holds other weights.

    Source: Zhang et al., CVPR 2018 (LPIPS); Johnson et al., ECCV 2016.
    """

    def __init__(self, file: str | os.PathLike[str] | None) -> None:
        remedy = f"give torchvision's {LPIPS_FILE} (LPIPS) or {VGG_FILE} (VGG19)"
        if file is None or not Path(file).is_file():
            missing = "is not set" if file is None else f"{file} does not exist"
            raise UserError(f"objective.perceptual_file {missing}: {remedy}, or set objective.perceptual_weight=0")
        content = read_weights(Path(file))
        first = content.get("features.0.weight") if isinstance(content, dict) else None
        shape = tuple(getattr(first, "shape", ()))
        if shape not in ((64, 3, 11, 11), (64, 3, 3, 3)):
            raise UserError(f"objective.perceptual_file {file} is neither AlexNet's nor VGG19's: {remedy}")
        self.file = Path(file).resolve()
        self.vgg = VggFeatures(file) if shape[-1] == 3 else None
        if self.vgg is None:
            lpips_network(self.file, torch.device("cpu"))  # its errors now, not at the first step

    def __call__(self, objective: Objective, losses: Losses, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """``losses`` of ``objective`` with the term, if ``stage`` weighs it.

        The target is the objective's aligned sharp image, if it has one, otherwise the sharp image as given. Where the
        objective's mask or the pair's extra ``valid`` rejects, the target is the output itself.
        """
        if "perceptual" not in stage.weights:
            return losses
        target, masks = losses.maps.get("aligned", pair.sharp), (losses.maps.get("mask"), pair.extras.get("valid"))
        kept = [mask for mask in masks if mask is not None]

        def loss(image: Tensor) -> Tensor:
            trusted = torch.lerp(image.detach(), target, math.prod(kept)) if kept else target
            return self.distance(image, trusted)

        term = objective.sum_outputs(restored.images, loss)
        total = losses.total + stage.weights["perceptual"] * term
        return losses._replace(total=total, terms={**losses.terms, "perceptual": term})

    def distance(self, image: Tensor, target: Tensor) -> Tensor:
        """Scalar, float32, of RGB images ``(B, 3, H, W)`` around [0, 1]; differentiable."""
        if self.vgg is not None:
            return (self.vgg(image) - self.vgg(target)).square().mean()
        with torch.autocast(image.device.type, enabled=False):
            network, ours = lpips_network(self.file, image.device), 2 * image.float() - 1
            if ours.requires_grad:  # LPIPS' gradient is NaN around pixels whose features are all zero
                ours.register_hook(lambda gradient: gradient.nan_to_num(0, 0, 0))
            distances: Tensor = network(ours, 2 * target.float() - 1)
            return distances.mean()

    def __deepcopy__(self, memo: dict[int, Any]) -> Perceptual:
        """Itself: a model average does not need a second copy of frozen weights."""
        return self
