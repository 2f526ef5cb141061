"""What a training step needs of memory, counted without computing it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from jdrl_lightning.diagnosis.loading import training_step
from jdrl_lightning.runtime.counting import Alive
from jdrl_lightning.types import Pair

__all__ = ["available_mib", "step_mib"]

MOMENTS = 2  # of each weight, that Adam keeps


def step_mib(config: Mapping[str, Any]) -> float:
    """MiB of a step on ``data.batch_size`` crops of ``data.crop`` px: tensors alive at its peak, and Adam's moments.

    Neither what operators need inside nor the allocator's overhead is counted: reckon with half as much again. Counted
    in a process of its own: constants that are kept would have no values in this one.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_counted, dict(config)).result()


def _counted(config: Mapping[str, Any]) -> float:
    batch, crop = int(config["data"]["batch_size"]), int(config["data"]["crop"])
    with FakeTensorMode(), Alive() as alive:
        blurry, sharp = (torch.rand(batch, 3, crop, crop) for _ in range(2))
        step = training_step(config, Pair(blurry, sharp, ["a"] * batch, {}), torch.device("cpu"))
        before = alive.now  # the weights, and the images
        step()
    return (alive.peak + MOMENTS * before) / 2**20


def available_mib(device: torch.device) -> float | None:
    """MiB that are free on ``device``; None if the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0]) / 2**20
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            free = next(line for line in file if line.startswith("MemAvailable:"))
        return int(free.split()[1]) / 2**10
    except (OSError, StopIteration, ValueError):
        return None
