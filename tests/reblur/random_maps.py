"""Random images, kernel seeds and weight maps for the reblurring operator."""

from __future__ import annotations

import torch
from torch import Tensor

from jdrl_lightning.reblur.kernel_interface import ReblurInputs


def random_maps(
    levels: int,
    height: int = 9,
    width: int = 10,
    batch: int = 1,
    channels: int = 3,
    dtype: torch.dtype = torch.float64,
    scales: int = 1,
    margin: int = 0,
    stride: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Image, seeds and weights as :func:`.operator.reblur` takes them; the image ``margin`` px larger on each side.

    The same in every dtype, up to rounding.
    """
    draw = torch.Generator().manual_seed(levels)
    n_seeds, n_weights = scales * (levels * (levels + 1) // 2 - 1), levels + (scales - 1) * (levels - 1)
    shape, grid = (
        (batch, channels, height + 2 * margin, width + 2 * margin),
        (-(-height // stride), -(-width // stride)),
    )
    image = torch.rand(shape, dtype=torch.float64, generator=draw)
    seeds = 2 * torch.randn(batch, n_seeds, *grid, dtype=torch.float64, generator=draw)
    weights = torch.randn(batch, n_weights, *grid, dtype=torch.float64, generator=draw).softmax(dim=1)
    return image.to(dtype), seeds.to(dtype), weights.to(dtype)


def random_inputs(
    levels: int,
    height: int,
    width: int,
    batch: int = 1,
    channels: int = 3,
    dtype: torch.dtype = torch.float32,
    support: str = "square",
    absolute: bool = True,
    stride: int = 1,
) -> ReblurInputs:
    """What the kernels take; the surroundings of the image are random too."""
    maps = random_maps(levels, height, width, batch, channels, dtype, margin=levels - 1, stride=stride)
    return ReblurInputs(*maps, support, absolute, stride)
