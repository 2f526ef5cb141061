"""Restoring an image of any size tile by tile, without seams."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from jdrl_lightning.backbones.base import pad_to_multiple
from jdrl_lightning.errors import UserError

__all__ = ["check_tiles", "restore", "spans", "weights"]


def check_tiles(tile: int, overlap: int, divisor: int, batch: int = 1) -> None:
    """Refuse settings that :func:`restore` would refuse for some image size.

    Raises:
        UserError: not whole numbers, a negative overlap, no tile in a batch, or tiles not larger than their overlap,
            both in multiples of ``divisor``.
    """
    if not isinstance(overlap, int) or overlap < 0:
        raise UserError(f"overlap={overlap!r} is not a whole number of at least 0")
    if not isinstance(batch, int) or batch < 1:
        raise UserError(f"tile_batch={batch!r} is not a whole number of at least 1")
    least = (math.ceil(overlap / divisor) + 1) * divisor
    if not isinstance(tile, int) or tile < least:
        raise UserError(
            f"tile={tile!r} is not at least {least}, overlap={overlap} and {divisor} more; raise tile or lower overlap"
        )


@torch.no_grad()
def restore(
    network: Callable[[Tensor], Tensor],
    blurry: Tensor,
    tile: int = 512,
    overlap: int = 64,
    divisor: int = 16,
    progress: Callable[[int, int], None] | None = None,
    batch: int = 1,
) -> Tensor:
    """Restore overlapping tiles and blend them; exact if the receptive field reaches at most ``3/8 overlap`` px.

    ``out = Σ w_y w_x network(tile)`` with weights that sum to one, are 0 near each tile's inner edges (where the
    network misses what lies outside) and follow a raised cosine over the overlap's middle quarter. Needs the memory
    of ``batch`` tiles and of the output. Tiles start at multiples of ``divisor``, so a network that halves its
    resolution sees the same grid as in the whole image. All tiles of an image have one size.

    Args:
        network: ``(B, C, h, w)`` to ``(B, 3, h, w)``; its inputs' sides are multiples of ``divisor`` (reflected
            edges). It may compute on another device.
        blurry: ``(B, C, H, W)``, float in [0, 1].
        tile: longest side of a tile, px; a shorter side of the image is not divided.
        overlap: of neighbouring tiles, px, at least.
        divisor: the network's input sides must be multiples of it.
        progress: called with (tiles done, all tiles).
        batch: tiles of an image per call of the network.

    Returns:
        ``(B, 3, H, W)``, float32, on the device of ``blurry``.

    Raises:
        ValueError: incompatible tile and overlap, see :func:`spans`.
    """
    rows, columns = (spans(size, tile, overlap, divisor) for size in blurry.shape[-2:])
    row_weights, column_weights = weights(rows, blurry.device), weights(columns, blurry.device)
    places = list(product(range(len(rows)), range(len(columns))))
    restored = torch.zeros((blurry.shape[0], 3, *blurry.shape[-2:]), dtype=torch.float32, device=blurry.device)
    for first in range(0, len(places), batch):
        group = places[first : first + batch]
        tiles = [pad_to_multiple(blurry[..., slice(*rows[i]), slice(*columns[j])], divisor) for i, j in group]
        for (i, j), piece in zip(group, network(torch.cat(tiles)).chunk(len(group)), strict=True):
            region = restored[..., slice(*rows[i]), slice(*columns[j])]
            inside = piece[..., : region.shape[-2], : region.shape[-1]]
            region += inside.to(restored) * (row_weights[i][:, None] * column_weights[j])
        if progress is not None:
            progress(first + len(group), len(places))
    return restored


def spans(size: int, tile: int, overlap: int, divisor: int) -> list[tuple[int, int]]:
    """Start and end of the tiles along one side: evenly, at multiples of ``divisor``, sharing ``overlap`` or more.

    As few as sides up to ``tile`` allow, and as short as that number allows. Their lengths are multiples of
    ``divisor``, except that the last one ends with the image.

    Raises:
        ValueError: in multiples of ``divisor``, ``tile`` is not larger than ``overlap``.
    """
    all_units, units, shared = math.ceil(size / divisor), tile // divisor, math.ceil(overlap / divisor)
    if all_units <= units:
        return [(0, size)]
    if overlap < 0 or units <= shared:
        raise ValueError(f"tile={tile} must be at least overlap + {divisor}, with overlap={overlap} not negative")
    steps = math.ceil((all_units - units) / (units - shared))
    units = math.ceil((all_units + steps * shared) / (steps + 1))
    starts = [i * (all_units - units) // steps for i in range(steps + 1)]
    return [(start * divisor, min((start + units) * divisor, size)) for start in starts]


def weights(parts: list[tuple[int, int]], device: torch.device | str = "cpu") -> list[Tensor]:
    """Blending weights of each span, from 0 to 1: ``w_i = r_i Π_{k>i} (1 - r_k)``, so at every pixel they sum to one.

    ``r_i`` rises from 0 to 1 over the middle quarter of the overlap of span ``i`` with the previous one, then stays 1.
    """
    left_over = torch.ones(parts[-1][1], device=device)
    found = []
    for i in reversed(range(len(parts))):
        start, end = parts[i]
        rising = torch.ones_like(left_over)
        if i > 0:
            shared = max(parts[i - 1][1] - start, 0.5)  # a step if they only touch
            place = (torch.arange(len(rising), device=device) + 0.5 - start) / shared  # of pixel centres
            rising = 0.5 - 0.5 * torch.cos(math.pi * (4 * place - 1.5).clamp(0, 1))
        found.append((rising * left_over)[start:end])
        left_over = left_over * (1 - rising)
    return found[::-1]
