"""Random images, kernel seeds and weight maps for the operator's forms."""

from __future__ import annotations

import torch
from torch import Tensor


def padded_maps(
    levels: int, height: int, width: int, batch: int = 1, channels: int = 3, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """An image with random surroundings, seeds and weights, as the forms take them."""
    draw = torch.Generator().manual_seed(levels)
    reach = levels - 1
    padded = torch.rand(batch, channels, height + 2 * reach, width + 2 * reach, dtype=torch.float64, generator=draw)
    n_seeds = levels * (levels + 1) // 2 - 1
    seeds = 2 * torch.randn(batch, n_seeds, height, width, dtype=torch.float64, generator=draw)
    weights = torch.randn(batch, levels, height, width, dtype=torch.float64, generator=draw).softmax(dim=1)
    return padded.to(dtype), seeds.to(dtype), weights.to(dtype)
