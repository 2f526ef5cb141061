"""Random crops, flips and quarter turns of pairs; each draw is a pure function of (seed, epoch, index)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from kornia.geometry.transform import hflip
from torch import Tensor

from jdrl_lightning.data.color_jitter import recolor
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

__all__ = ["augment", "collate", "crop", "flip", "quarter_turn"]

FLOWS = {"flow", "there", "back"}  # extras that are vector fields


def crop(pair: Pair, top: int, left: int, height: int, width: int) -> Pair:
    """Crop every tensor to the same rectangle, px. Copies, so that the whole images can be freed.

    Extras of lower resolution than the images (precomputed flow) are upsampled to it, bilinearly.

    Raises:
        ValueError: the rectangle exceeds the image.
    """
    full = pair.blurry.shape[-2:]
    if top < 0 or left < 0 or top + height > full[0] or left + width > full[1]:
        raise ValueError(f"crop {height}x{width} at ({top}, {left}) exceeds the {full[0]}x{full[1]} image")

    def cut(image: Tensor) -> Tensor:
        if image.shape[-2:] == full:
            return image[..., top : top + height, left : left + width].clone()
        return _enlarged(_enlarged(image, full[0], top, height, -2), full[1], left, width, -1)

    return _each(pair, cut)


def _enlarged(image: Tensor, full: int, start: int, count: int, dim: int) -> Tensor:
    """``count`` rows or columns from ``start`` of ``image`` as ``F.interpolate`` would upsample it to ``full``."""
    size = image.shape[dim]
    places = ((torch.arange(start, start + count) + 0.5) * (size / full) - 0.5).clamp(0, size - 1)
    below = places.long().clamp(max=max(0, size - 2))
    above = (below + 1).clamp(max=size - 1)
    share = (places - below).to(image.dtype).view([-1 if axis == image.ndim + dim else 1 for axis in range(image.ndim)])
    return torch.lerp(image.index_select(dim, below), image.index_select(dim, above), share)


def flip(pair: Pair) -> Pair:
    """Flip horizontally. The dx of flows changes sign, and the dual-pixel views swap."""
    return _swapped(_each(pair, lambda image: _moved(image, hflip), lambda dx, dy: (-dx, dy)))


def quarter_turn(pair: Pair, k: int) -> Pair:
    """Rotate by ``k`` quarter turns counter-clockwise, as ``torch.rot90``; flow vectors too: (dx, dy) to (dy, -dx).

    A half turn swaps the dual-pixel views. An odd ``k`` would give them a vertical disparity, which no sensor has;
    ``augment`` does not draw it for such pairs.
    """
    k %= 4
    vectors: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = {
        0: lambda dx, dy: (dx, dy),
        1: lambda dx, dy: (dy, -dx),
        2: lambda dx, dy: (-dx, -dy),
        3: lambda dx, dy: (-dy, dx),
    }[k]
    turned = _each(pair, lambda image: _moved(image, lambda bits: torch.rot90(bits, k, (-2, -1)).contiguous()), vectors)
    return _swapped(turned) if k == 2 else turned


def augment(
    pair: Pair,
    crop_size: int,
    seed: int,
    epoch: int,
    index: int,
    turn: bool = True,
    rule: str = "uniform",
    colors: bool = False,
) -> Pair:
    """A random square crop; with ``turn`` one of its eight flips and rotations, with ``colors`` a random exposure.

    Args:
        pair: a single sample (no batch dimension), of any integer or float type.
        crop_size: side of the square, px.
        seed, epoch, index: the only source of randomness.
        turn: False: crop only, at the same position.
        rule: ``uniform``: anywhere; ``official``: as the published code, whose offsets cover only half their range, so
            that 256 px crops never contain the last rows and columns of a 512 px patch.
        colors: also draw an exposure and a channel order, see :func:`recolor`.

    Raises:
        UserError: the image is smaller than the crop.
    """
    height, width = pair.blurry.shape[-2:]
    if min(height, width) < crop_size:
        raise UserError(f"{pair.name}: {width}x{height} pixels are smaller than data.crop={crop_size}; lower data.crop")
    rng = np.random.default_rng((seed, epoch, index))
    rows, columns = height - crop_size, width - crop_size
    if rule == "official":
        top, left = int(rng.integers(max(1, rows))) // 2, int(rng.integers(max(1, columns))) // 2
    else:
        top, left = int(rng.integers(rows + 1)), int(rng.integers(columns + 1))
    pair = crop(pair, top, left, crop_size, crop_size)
    if turn:
        mirrored, k = bool(rng.integers(2)), int(rng.integers(4))
        if "left" in pair.extras:
            k -= k % 2
        pair = quarter_turn(flip(pair) if mirrored else pair, k)
    return recolor(pair, rng) if colors else pair


def collate(pairs: Sequence[Pair]) -> Pair:
    """Stack samples into a batch. Integers stay integers; 8 bits next to 16 become 16 (``257 v``, exact).

    Raises:
        UserError: samples of different sizes or extras.
    """
    first = pairs[0]
    for pair in pairs:
        if pair.blurry.shape != first.blurry.shape:
            raise UserError(f"{first.name} and {pair.name} differ in size; use a batch size of 1 or crop them")
        if pair.extras.keys() != first.extras.keys():
            raise UserError(
                f"{first.name} and {pair.name} differ in extras: {sorted(first.extras)}, {sorted(pair.extras)}"
            )
    return Pair(
        blurry=_stack([pair.blurry for pair in pairs]),
        sharp=_stack([pair.sharp for pair in pairs]),
        name=[str(pair.name) for pair in pairs],
        extras={key: _stack([pair.extras[key] for pair in pairs]) for key in first.extras},
    )


def _each(
    pair: Pair,
    image: Callable[[Tensor], Tensor],
    vectors: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
) -> Pair:
    """Apply ``image`` to every tensor, then ``vectors`` to the two components of flows."""
    extras = {key: image(value) for key, value in pair.extras.items()}
    if vectors is not None:
        for key in extras.keys() & FLOWS:
            dx, dy = extras[key].unbind(-3)
            extras[key] = torch.stack(vectors(dx, dy), dim=-3)
    return Pair(image(pair.blurry), image(pair.sharp), pair.name, extras)


def _moved(image: Tensor, move: Callable[[Tensor], Tensor]) -> Tensor:
    """``move(image)``; torch below 2.14 cannot flip uint16, whose bits are moved as int16."""
    return move(image.view(torch.int16)).view(torch.uint16) if image.dtype == torch.uint16 else move(image)


def _swapped(pair: Pair) -> Pair:
    """Swap the dual-pixel views: mirrored, the left half of the lens is the right one."""
    if "left" not in pair.extras or "right" not in pair.extras:
        return pair
    return pair._replace(extras={**pair.extras, "left": pair.extras["right"], "right": pair.extras["left"]})


def _stack(images: list[Tensor]) -> Tensor:
    if {image.dtype for image in images} == {torch.uint8, torch.uint16}:
        images = [
            (image.to(torch.int32) * 257).to(torch.uint16) if image.dtype == torch.uint8 else image for image in images
        ]
    return torch.stack(images)
