"""Whether reading pairs keeps up with training on them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch

from jdrl_lightning import DeblurringModule, backbones, objectives
from jdrl_lightning.data.augment import collate
from jdrl_lightning.data.precomputed_flow import unmoved
from jdrl_lightning.data.random_crops import TrainingCrops
from jdrl_lightning.runtime.distributed import allowed_cores
from jdrl_lightning.types import Pair

__all__ = ["Rates", "loaded", "trained", "verdict"]

LONGEST = 5.0  # seconds of reading
SMALL = 64  # px, of the crop that a processor trains on: its time grows with the area
SLOW = 0.2  # share of the time that reading may take where nothing is read beside training


class Rates(NamedTuple):
    """Crops a second that one process loads, and that training takes; ``data.num_workers``; are the pairs unpacked?"""

    loaded: float
    trained: float
    workers: int
    packable: bool = True


def loaded(crops: TrainingCrops, items: Iterable[int]) -> float:
    """Crops of the training pairs ``items`` that one process reads a second, cropped, flipped and turned."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a loading process has
    start, count = time.perf_counter(), 0
    for item in items:
        crops[1, item]
        count += 1
        if time.perf_counter() - start > LONGEST:
            break
    torch.set_num_threads(threads)
    return count / (time.perf_counter() - start)


def trained(config: Mapping[str, Any], crops: list[Pair], device: torch.device) -> float:
    """Crops a second that a step of the last stage takes, forward and backward, float32, with fresh weights.

    On a processor it is reckoned from a step on one crop of 64 px.
    """
    settings = {key: value for key, value in config["backbone"].items() if key != "weights"}
    objective = objectives.create(**config["objective"])
    module = DeblurringModule(backbones.create(**settings), objective).to(device).train()
    steps, share = 3, 1.0
    if device.type == "cpu":
        crop = crops[0].blurry.shape[-1]
        steps, share, crops = 1, (min(SMALL, crop) / crop) ** 2, [_cut(crops[0])]
    pair = collate(crops)
    if getattr(objective, "picture_flow", None) is not None:
        pair = unmoved(pair)
    extras = {name: image.to(device) for name, image in pair.extras.items()}
    pair = module.on_after_batch_transfer(Pair(pair.blurry.to(device), pair.sharp.to(device), pair.name, extras), 0)

    def step() -> None:
        module.zero_grad()
        total = objective(module.backbone(pair.blurry), pair, objective.schedule.stages[-1]).total
        total.backward()
        float(total.detach())  # waits for the device

    step()  # compiles what is compiled at first use
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return len(crops) * share * steps / (time.perf_counter() - start)


def _cut(pair: Pair) -> Pair:
    extras = {name: image[..., :SMALL, :SMALL] for name, image in pair.extras.items()}
    return Pair(pair.blurry[..., :SMALL, :SMALL], pair.sharp[..., :SMALL, :SMALL], pair.name, extras)


def verdict(found: Rates) -> str:
    """Whether training waits for loading, and what helps, in one or two plain sentences."""
    cores = allowed_cores()
    needed = math.ceil(found.trained / found.loaded)
    more = f"Set data.num_workers={needed}" if needed <= cores else f"{needed} cores would have to read, of {cores}"
    pack = "; or pack the pairs (python -m jdrl_lightning.prepare pack): they load many times as fast then"
    remedy = f"{more}{pack if found.packable else ''}."
    if found.workers == 0:
        share = found.trained / (found.trained + found.loaded)
        if share <= SLOW:
            return f"Loading keeps up with training: it takes {share:.1%} of the time."
        name = "Loading is the bottleneck: training" if found.loaded < found.trained else "Training"
        return f"{name} waits for loading {share:.0%} of the time, since data.num_workers=0. {remedy}"
    together = min(found.workers, cores) * found.loaded
    read = f"data.num_workers={found.workers} would read about {together:.3g} crops a second"
    if together >= found.trained:
        return f"Loading keeps up with training: {read}."
    return f"Loading is the bottleneck: {read}. {remedy}"
