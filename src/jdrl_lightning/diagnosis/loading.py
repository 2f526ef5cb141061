"""Whether data loading keeps up with training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from jdrl_lightning import DeblurringModule, backbones, objectives
from jdrl_lightning.backbones.base import input_of
from jdrl_lightning.data.augment import collate
from jdrl_lightning.data.precomputed_flow import unmoved
from jdrl_lightning.data.random_crops import TrainingCrops
from jdrl_lightning.runtime.distributed import allowed_cores
from jdrl_lightning.types import Pair

__all__ = ["Rates", "bottleneck", "loaded", "rough", "trained", "training_step"]

LONGEST = 5.0  # upper bound of the time spent reading, s
SHORT = 2.0  # s of reading, below which the rate is rough
SMALL = 64  # side of the crop for timing a step on a CPU, px; the time is scaled by the area
SLOW = 0.2  # acceptable fraction of the time spent loading with data.num_workers=0


class Rates(NamedTuple):
    """Crops per second, loaded by one process and taken by training; ``data.num_workers``; whether packing applies."""

    loaded: float
    trained: float
    workers: int
    packable: bool = True


def loaded(crops: TrainingCrops, items: Iterable[int]) -> float:
    """Crops per second that one process loads and augments, over the training pairs ``items``."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a loader worker
    start, count = time.perf_counter(), 0
    for item in items:
        crops[1, item]
        count += 1
        if time.perf_counter() - start > LONGEST:
            break
    torch.set_num_threads(threads)
    return count / (time.perf_counter() - start)


def trained(config: Mapping[str, Any], crops: list[Pair], device: torch.device) -> float:
    """Crops per second of a step of the last stage, forward and backward, float32, with random weights.

    On a CPU it is extrapolated from one crop of 64 px.
    """
    steps, scale = 3, 1.0
    if device.type == "cpu":
        crop = crops[0].blurry.shape[-1]
        steps, scale, crops = 1, (min(SMALL, crop) / crop) ** 2, [_cut(crops[0])]
    run = training_step(config, collate(crops), device)
    float(run().detach())  # warm-up: kernels are compiled at first use
    start = time.perf_counter()
    for _ in range(steps):
        float(run().detach())  # synchronizes with the device
    return len(crops) * scale * steps / (time.perf_counter() - start)


def training_step(config: Mapping[str, Any], pair: Pair, device: torch.device) -> Callable[[], Tensor]:
    """A step of the last stage on ``pair``, forward and backward, float32, random weights; it returns the loss."""
    settings = {key: value for key, value in config["backbone"].items() if key != "weights"}
    objective = objectives.create(**config["objective"])
    module = DeblurringModule(backbones.create(**settings), objective).train()
    if device.type != "cpu":  # .to() is refused where tensors have no values
        module.to(device)
    if getattr(objective, "picture_flow", None) is not None:
        pair = unmoved(pair)
    extras = {name: image.to(device) for name, image in pair.extras.items()}
    pair = Pair(pair.blurry.to(device), pair.sharp.to(device), pair.name, extras).to_float()

    def step() -> Tensor:
        module.zero_grad()
        stage = objective.schedule.stages[-1]
        used = objective.prepare(pair, stage)
        total = objective(module.backbone(input_of(used, module.backbone)), used, stage).total
        total.backward()
        return total

    return step


def _cut(pair: Pair) -> Pair:
    extras = {name: image[..., :SMALL, :SMALL] for name, image in pair.extras.items()}
    return Pair(pair.blurry[..., :SMALL, :SMALL], pair.sharp[..., :SMALL, :SMALL], pair.name, extras)


def rough(device: torch.device, seconds: float) -> str | None:
    """A warning if the rates are no more than a hint: files were read for few ``seconds``, or a CPU's extrapolated."""
    why = [f"files were read for only {seconds:.1f} s"] if seconds < SHORT else []
    why += [f"training on {device} is extrapolated from one crop of {SMALL} px"] if device.type == "cpu" else []
    return f"Rough: {' and '.join(why)}; train/images_per_s of a training is exact." if why else None


def bottleneck(found: Rates) -> str:
    """Whether training waits for loading, and the remedy, in one or two sentences."""
    cores = allowed_cores()
    needed = math.ceil(found.trained / found.loaded)
    more = (
        f"Set data.num_workers={needed}"
        if needed <= cores
        else f"Loading would need {needed} cores, but there are {cores}"
    )
    pack = "; or pack the pairs (python -m jdrl_lightning.prepare pack), which makes loading many times faster"
    remedy = f"{more}{pack if found.packable else ''}."
    if found.workers == 0:
        fraction = found.trained / (found.trained + found.loaded)
        if fraction <= SLOW:
            return f"Loading keeps up with training: it takes {fraction:.1%} of the time."
        name = "Loading is the bottleneck: training" if found.loaded < found.trained else "Training"
        return f"{name} waits for loading {fraction:.0%} of the time, since data.num_workers=0. {remedy}"
    together = min(found.workers, cores) * found.loaded
    read = f"data.num_workers={found.workers} loads about {together:.3g} crops per second"
    if together >= found.trained:
        return f"Loading keeps up with training: {read}."
    return f"Loading is the bottleneck: {read}. {remedy}"
