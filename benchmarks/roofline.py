"""Peak rates of a CPU, measured; and the minimum amount of work, counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import conv2d

from jdrl_lightning.reblur.kernel_geometry import corner_levels, orbits

EXP = 13  # arithmetic instructions of one exponential in single precision: clamp, split, six multiply-adds, scale


class Work(NamedTuple):
    """Per pixel: bytes read and written once, and arithmetic instructions of one lane (a multiply-add is one)."""

    bytes: int
    instructions: int


class Ceilings(NamedTuple):
    """Bytes (read and written), multiply-adds, and PyTorch's exponentials a second of processor time."""

    bytes: float
    multiply_adds: float
    exps: float

    def seconds(self, work: Work, pixels: int) -> tuple[float, float]:
        """Least time for the memory, and for the arithmetic."""
        return pixels * work.bytes / self.bytes, pixels * work.instructions / self.multiply_adds


def forward_work(levels: int = 8, channels: int = 3, stride: int = 1) -> Work:
    """Kernels of every level by orbit, their mixture, and the sums of the image over the orbits."""
    within, corners, pairs = _counted(levels)
    n_orbits, n_seeds = len(orbits(levels)), levels * (levels + 1) // 2 - 1
    kernels = (EXP + 3) * within + EXP * (levels - 1) + corners + 3 * n_seeds
    image = channels * ((levels - 1) + (pairs - n_orbits) + n_orbits)  # rows folded, elements added, orbits weighted
    maps = n_seeds + levels
    return Work(round(4 * (2 * channels + maps / stride**2)), kernels + image + _enlarging(maps, stride))


def backward_work(levels: int = 8, channels: int = 3, stride: int = 1) -> Work:
    """All that again, for the maps' gradients; and the image's gradient, spread over the orbits."""
    within, corners, pairs = _counted(levels)
    n_orbits, n_seeds = len(orbits(levels)), levels * (levels + 1) // 2 - 1
    maps = 6 * within + corners + 3 * n_seeds
    spread = channels * (n_orbits + pairs + 2 * levels - 1)
    adjoint, coarse = _enlarging(n_seeds + levels, stride), (n_seeds + levels) / stride**2
    again = forward_work(levels, channels, stride).instructions
    return Work(round(4 * (3 * channels + 2 * coarse)), again + maps + spread + adjoint)


def _enlarging(maps: int, stride: int) -> int:
    """Two of each pixel's down, and two of each column's across, once for ``stride`` rows."""
    return round(maps * (2 + 2 / stride)) if stride > 1 else 0


def _counted(levels: int) -> tuple[int, int, int]:
    """Orbits within the levels' radii, those in their corners, and elements when mirrored rows are one."""
    every, all_levels = orbits(levels), range(2, levels + 1)
    within = sum(orbit.squared <= (level - 1) ** 2 for level in all_levels for orbit in every)
    corners = sum(len(corner_levels(orbit, levels)) for orbit in every)
    return within, corners, sum(len({(dx, abs(dy)) for dx, dy in orbit.shifts}) for orbit in every)


def ceilings() -> Ceilings:
    """PyTorch's copy (64 MiB), matrix product (1024²) or convolution (256 channels, 3×3), and exponential (in cache).

    Of product and convolution the one that does more multiply-adds a second: they are of two libraries, which do not
    use the same instructions on every processor.
    """
    source = torch.zeros(1 << 24)
    target, logits = torch.empty_like(source), -torch.rand(1 << 16)
    result, matrix = torch.empty_like(logits), torch.rand(1024, 1024)
    image, kernels = (
        torch.rand(n, 256, side, side).to(memory_format=torch.channels_last) for n, side in ((1, 66), (256, 3))
    )
    convolution = 64**2 * 256 * kernels[0].numel() / shortest(lambda: conv2d(image, kernels))
    return Ceilings(
        2 * source.numel() * source.element_size() / shortest(lambda: target.copy_(source)),
        max(1024**3 / shortest(lambda: matrix @ matrix), convolution),
        20 * logits.numel() / shortest(lambda: [torch.exp(logits, out=result) for _ in range(20)]),
    )


def shortest(run: Callable[[], object]) -> float:
    """Processor seconds of the fastest of 15 runs."""
    taken = []
    for _ in range(15):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)
