"""One picture that is sharp everywhere from the frames of a focus stack: a Laplacian pyramid of weighted means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.preparation.focus_measure import down, focus_index, local_energy, up

__all__ = ["Fused", "fuse"]

LEVELS = 6
SMALLEST_PX = 8  # of the coarsest level's shorter side
DEPTH_LEVELS = 3  # the finest, whose energies tell the depth
STEEPNESS = 3  # a frame with twice the energy of another gets eight times its weight
FLOOR = (0.3 / 255) ** 2  # energy below which frames count alike
SCALE = 1e4  # keeps the third power of the floor representable
COVERED = 0.99  # of a coarse pixel

Frame: TypeAlias = tuple[Tensor, Tensor]  # an image, and 1 where it has content


class Fused(NamedTuple):
    """A fused stack.

    Attributes:
        image: ``(1, 3, H, W)``, in [0, 1].
        focus: the frame in which a pixel is sharpest, ``(1, 1, h, w)``, at half the resolution.
    """

    image: Tensor
    focus: Tensor


def fuse(frame: Callable[[int], Frame], count: int) -> Fused:
    """Fuse ``count`` registered frames; memory for one at full resolution is enough.

    In each band of a Laplacian pyramid a frame's weight is ``m (e + floor)³`` with ``e`` its :func:`local_energy` there
    and ``m`` 1 where it has content: where one frame is the sharpest it is taken; where several are equally sharp, or
    nothing has texture, they are averaged, and so is their noise. The coarsest level is weighted like the band above.

    Args:
        frame: ``frame(i)``, asked for once each: the frame in the common geometry, ``(1, 3, H, W)`` in [0, 1], and 1
            where it has content, else 0, ``(1, 1, H, W)``. Every pixel has content in some frame.
        count: number of frames.
    """
    bands: list[Tensor] = []
    focus: list[Tensor] = []
    while True:
        band, energies, coarser = _fuse_band(frame, count)
        bands.append(band)
        if len(bands) <= DEPTH_LEVELS:
            here = [_resized(energy, coarser[0][0] if len(bands) == 1 else focus[0]) for energy in energies]
            focus = [one + other for one, other in zip(focus, here, strict=True)] if focus else here
        if len(bands) == LEVELS or min(coarser[0][0].shape[-2:]) < 2 * SMALLEST_PX:
            break
        frame = coarser.__getitem__
    weights = [_weight(up(e, image), content) for e, (image, content) in zip(energies, coarser, strict=True)]
    image = _mean([image for image, _ in coarser], weights)
    for band in reversed(bands):
        image = up(image, band) + band
    return Fused(image.clamp(0, 1), focus_index(focus))


def _fuse_band(frame: Callable[[int], Frame], count: int) -> tuple[Tensor, list[Tensor], list[Frame]]:
    """The finest band of the fused picture, each frame's energy in it, and all frames at half the resolution."""
    total, weights = torch.zeros(()), torch.zeros(())
    energies, coarser = [], []
    for index in range(count):
        image, content = frame(index)
        small = down(image)
        band = image - up(small, image)
        energy = local_energy(band) * content
        weight = _weight(energy, content)
        total, weights = total + weight * band, weights + weight
        energies.append(energy)
        coarser.append((small, (F.avg_pool2d(content, 2, ceil_mode=True) > COVERED).to(content.dtype)))
    return total / weights, energies, coarser


def _weight(energy: Tensor, content: Tensor) -> Tensor:
    # Where no frame has content at a coarse level, all count alike.
    return (content + 1e-6) * (SCALE * (energy + FLOOR)) ** STEEPNESS


def _mean(images: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    total = sum((weight * image for image, weight in zip(images, weights, strict=True)), start=torch.zeros(()))
    return total / sum(weights, start=torch.zeros(()))


def _resized(image: Tensor, like: Tensor) -> Tensor:
    smaller = image.shape[-1] > like.shape[-1]
    return F.interpolate(image, like.shape[-2:], mode="area") if smaller else up(image, like)
