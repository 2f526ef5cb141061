"""Restoring a picture of any size tile by tile, without seams."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.errors import UserError

__all__ = ["check_tiles", "restore", "spans", "weights"]


def check_tiles(tile: int, overlap: int, divisor: int) -> None:
    """Refuse the settings of a command that :func:`restore` would refuse for some size of picture.

    Raises:
        UserError: not whole numbers, a negative overlap, or ``tile < overlap + divisor``.
    """
    if not isinstance(overlap, int) or overlap < 0:
        raise UserError(f"overlap={overlap!r} is not a whole number of at least 0")
    if not isinstance(tile, int) or tile < overlap + divisor:
        least = overlap + divisor
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
) -> Tensor:
    """Restore overlapping tiles and blend them; exact for a network that sees no farther than ``3/8 overlap`` px.

    ``out = Σ w_y w_x network(tile)`` with weights that sum to one, are 0 near each tile's inner edges (where the
    network misses what lies outside) and follow a raised cosine over the overlap's middle quarter. Needs the memory
    of one tile and of the output. Tiles begin at multiples of ``divisor``, so a network that halves its resolution
    meets the same grid as in the whole picture.

    Args:
        network: ``(B, 3, h, w)`` to the same; its inputs' sides are multiples of ``divisor`` (reflected
            edges). It may compute on another device.
        blurry: ``(B, 3, H, W)``, float in [0, 1].
        tile: side of a tile, px; a side of the picture that is not longer is taken whole.
        overlap: of neighbouring tiles, px, at least.
        divisor: what the network's input sizes must be a multiple of.
        progress: called with (tiles done, all tiles).

    Returns:
        ``(B, 3, H, W)``, float32, on the device of ``blurry``.

    Raises:
        ValueError: tiles that do not get on: ``tile < overlap + divisor``.
    """
    rows, columns = (spans(size, tile, overlap, divisor) for size in blurry.shape[-2:])
    row_weights, column_weights = weights(rows, blurry.device), weights(columns, blurry.device)
    restored = torch.zeros(blurry.shape, dtype=torch.float32, device=blurry.device)
    for i, (top, bottom) in enumerate(rows):
        for j, (left, right) in enumerate(columns):
            piece = _restore_piece(network, blurry[..., top:bottom, left:right], divisor)
            weight = row_weights[i][:, None] * column_weights[j]
            restored[..., top:bottom, left:right] += piece.to(restored) * weight
            if progress is not None:
                progress(i * len(columns) + j + 1, len(rows) * len(columns))
    return restored


def spans(size: int, tile: int, overlap: int, divisor: int) -> list[tuple[int, int]]:
    """Where tiles begin and end along one side: evenly, at multiples of ``divisor``, sharing ``overlap`` or more.

    The last span ends with the picture, and may be shorter than ``tile`` by less than ``divisor``.

    Raises:
        ValueError: ``tile < overlap + divisor``.
    """
    if size <= tile:
        return [(0, size)]
    step = (tile - overlap) // divisor * divisor
    if overlap < 0 or step <= 0:
        raise ValueError(f"tile={tile} must be at least overlap + {divisor}, with overlap={overlap} not negative")
    reach = math.ceil((size - tile) / divisor)  # where the last span begins, in units of the divisor
    steps = math.ceil(reach * divisor / step)
    starts = [i * reach // steps * divisor for i in range(steps + 1)]
    return [(start, min(start + tile, size)) for start in starts]


def weights(parts: list[tuple[int, int]], device: torch.device | str = "cpu") -> list[Tensor]:
    """Blending weights of each span, from 0 to 1: ``w_i = r_i Π_{k>i} (1 - r_k)``, so at every pixel they sum to one.

    ``r_i`` rises from 0 to 1 over the middle quarter of what span ``i`` shares with the one before it, and stays 1.
    """
    left_over = torch.ones(parts[-1][1], device=device)
    found = []
    for i in reversed(range(len(parts))):
        start, end = parts[i]
        rising = torch.ones_like(left_over)
        if i > 0:
            shared = max(parts[i - 1][1] - start, 0.5)  # a step, where they only touch
            place = (torch.arange(len(rising), device=device) + 0.5 - start) / shared  # of pixel centres
            rising = 0.5 - 0.5 * torch.cos(math.pi * (4 * place - 1.5).clamp(0, 1))
        found.append((rising * left_over)[start:end])
        left_over = left_over * (1 - rising)
    return found[::-1]


def _restore_piece(network: Callable[[Tensor], Tensor], piece: Tensor, divisor: int) -> Tensor:
    height, width = piece.shape[-2:]
    down, right = -height % divisor, -width % divisor
    if down or right:
        reflects = down < height and right < width  # a picture narrower than its padding cannot be reflected
        piece = F.pad(piece, (0, right, 0, down), mode="reflect" if reflects else "replicate")
    return network(piece)[..., :height, :width]
