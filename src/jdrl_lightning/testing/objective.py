"""The contract of an objective."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.data.precomputed_flow import unmoved
from jdrl_lightning.errors import and_more
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.testing.shared import copy, has_gradient, require, texture
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["assert_is_objective"]

BACKBONE = "the backbone"


def assert_is_objective(objective: nn.Module) -> None:
    """Check an objective, stage by stage.

    Each stage returns :class:`Losses` with exactly the terms it weighs, their weighted sum as a finite total, and
    detached maps, deterministically. The restored image gets a gradient in some stage, but not in stages that freeze
    the backbone. ``find_unused_parameters`` is true if and only if some stage leaves a trained parameter without
    gradient.

    Raises:
        AssertionError: the first violation found.
    """
    require(isinstance(objective, nn.Module), f"{type(objective).__name__} is not a torch.nn.Module")
    schedule: Any = getattr(objective, "schedule", None)
    require(isinstance(schedule, Schedule), f"schedule={schedule!r} is not a Schedule")
    copied: nn.Module = copy(objective).train()
    with torch.random.fork_rng():
        pair = _pair(like=copied)
        if getattr(copied, "picture_flow", None) is not None:
            pair = unmoved(pair)
        unused = {stage.name: _check_stage(copied, pair, stage) for stage in schedule.stages}
    require(any(BACKBONE not in parts for parts in unused.values()), "no stage gives the restored image a gradient")
    declared: Any = getattr(objective, "find_unused_parameters", None)
    idle = {name: and_more(parts) for name, parts in unused.items() if parts}
    details = "; ".join(f"stage {name!r} leaves {parts} without gradient" for name, parts in idle.items())
    require(
        declared is bool(idle),
        f"find_unused_parameters is {declared}, but {details or 'every stage trains everything'}",
    )


def _check_stage(objective: nn.Module, pair: Pair, stage: Stage) -> list[str]:
    """Run a stage forward and backward; returns the trained parts without gradient."""
    where = f"stage {stage.name!r}"
    image = (1.1 * pair.extras["aligned"] - 0.05).requires_grad_()
    losses = _check_losses(objective, image, pair, stage)
    _check_maps(losses.maps, image, where)
    require(losses.total.requires_grad, f"{where} trains nothing: its total has no gradient")
    objective.zero_grad(set_to_none=True)
    losses.total.backward()
    reached = has_gradient(image.grad)
    if "backbone" in stage.frozen:
        require(not reached, f"{where} freezes the backbone, but the restored image gets a gradient: detach it")
    unused = [name for name, p in objective.named_parameters() if p.requires_grad and p.grad is None]
    return unused if reached else [BACKBONE, *unused]


def _check_losses(objective: nn.Module, image: Tensor, pair: Pair, stage: Stage) -> Losses:
    """The stage's terms, and their weighted sum as a finite, reproducible total."""
    where = f"stage {stage.name!r}"
    coarse = (0.9 * pair.extras["aligned"]).requires_grad_()
    totals = []
    prepare: Any = getattr(objective, "prepare", None)
    for _ in range(2):
        torch.manual_seed(0)
        used = prepare(pair, stage) if prepare else pair
        losses = objective(Restored((image, coarse), _aux(objective, image)), used, stage)
        require(isinstance(losses, Losses), f"{where}: a {type(losses).__name__} instead of Losses")
        totals.append(losses.total)
    total, terms, _ = losses
    require(total.ndim == 0 and bool(total.isfinite()), f"{where}: the total is not a finite scalar")
    require(torch.equal(totals[0], totals[1]), f"{where}: two calls on the same images differ")
    weighed, given = sorted(stage.weights), sorted(terms)
    require(weighed == given, f"{where} weighs the terms {weighed}, but gets {given}")
    expected = sum(weight * float(terms[name].detach()) for name, weight in stage.weights.items())
    value = float(total.detach())
    close = abs(value - expected) <= 1e-4 * max(1.0, abs(expected))
    require(close, f"{where}: the total {value:.4g} is not the weighted sum {expected:.4g} of its terms")
    return losses


def _aux(objective: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Random maps in the place of those that the objective wants from the backbone."""
    wanted: dict[str, int] = getattr(objective, "wanted_aux", {})
    batch, _, height, width = image.shape
    return {name: torch.rand(batch, n, height, width).to(image).requires_grad_() for name, n in wanted.items()}


def _check_maps(maps: dict[str, Tensor], image: Tensor, where: str) -> None:
    """Detached maps with the size of the image."""
    for name, shown in maps.items():
        size = f"{tuple(shown.shape)} for images {tuple(image.shape)}"
        require(not shown.requires_grad, f"{where}: the map {name!r} keeps the graph alive: detach it")
        require(
            len(shown) == len(image) and shown.shape[-2:] == image.shape[-2:], f"{where}: the map {name!r} is {size}"
        )


def _pair(like: nn.Module) -> Pair:
    """A blurry image, a sharp one shifted by a pixel, and ground truth."""
    height, width = 41, 53
    scene = texture(height, width + 1, like)
    aligned, sharp = scene[..., 1:].contiguous(), scene[..., :-1].contiguous()  # aligned[p] = sharp[p + (1, 0)]
    blurry = F.avg_pool2d(F.pad(aligned, (2, 2, 2, 2), mode="replicate"), 5, 1)
    flow = torch.zeros_like(aligned[:, :2])
    flow[:, 0] = 1
    truth = {"aligned": aligned, "flow": flow, "coc": torch.full_like(flow[:, :1], 2.5)}
    return Pair(blurry, sharp, ["first", "second"], truth)
