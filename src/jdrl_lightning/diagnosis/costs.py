"""What a network costs: its size, arithmetic and memory, counted, and its time, measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from jdrl_lightning import backbones
from jdrl_lightning.inference.network import ready
from jdrl_lightning.runtime.counting import Alive, multiply_adds

__all__ = ["Counted", "Timed", "counted", "timed"]


class Counted(NamedTuple):
    """Trained parameters; multiply-adds of a pixel; MiB of restoring, and of a training step, without its optimiser."""

    parameters: int
    multiply_adds: float
    restore_mib: float
    step_mib: float


class Timed(NamedTuple):
    """Seconds of restoring a picture, and of a training step on it: forward, Charbonnier loss, backward."""

    restore: float
    step: float


def counted(settings: Mapping[str, Any], size: int) -> Counted:
    """Of the network ``settings`` on one picture of ``size``×``size`` px, without computing it.

    Weights are part of the memory of a step, and not of restoring. In a process of its own: constants that a network
    keeps would have no values in this one.

    Raises:
        UserError: an unknown network or setting.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_counted, dict(settings), size).result()


def _counted(settings: Mapping[str, Any], size: int) -> Counted:
    with FakeTensorMode():
        backbone = backbones.create(**settings).eval()
        picture = torch.rand(1, backbone.in_channels, size, size)
        with torch.no_grad(), Alive() as restoring:
            backbone(picture)
        with torch.no_grad():
            operations = multiply_adds(lambda: backbone(picture)) / size**2
        with Alive() as training:
            trained = backbones.create(**settings).train()
            _step(trained, picture)()
    parameters = sum(each.numel() for each in backbone.parameters() if each.requires_grad)
    return Counted(parameters, operations, restoring.peak / 2**20, training.peak / 2**20)


def timed(settings: Mapping[str, Any], size: int, device: torch.device, repeats: int) -> Timed:
    """Medians over ``repeats``, float32, after one run of each, with random weights."""
    trained = backbones.create(**settings).to(device).train()
    picture = torch.rand(1, trained.in_channels, size, size, device=device)
    step = _median(_step(trained, picture), device, repeats)
    restore = ready(backbones.create(**settings).to(device))
    with torch.inference_mode():
        return Timed(_median(lambda: restore(picture), device, repeats), step)


def _step(backbone: Any, picture: Tensor) -> Callable[[], None]:
    def run() -> None:
        backbone.zero_grad()
        images = backbone(picture).images
        sum(((image - picture[:, :3]).square() + 1e-6).sqrt().mean() for image in images).backward()

    return run


def _median(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    taken = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])
