"""One picture file: read, restored and written in its own bit depth, with all else that it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.inference.network import blur_radius
from jdrl_lightning.inference.planned import check_output
from jdrl_lightning.inference.tiles import restore
from jdrl_lightning.io.image import Picture, read_picture, write_image
from jdrl_lightning.types import to_float, to_uint

__all__ = ["Progress", "blend", "blur_px", "read_for", "restored_pixels", "write_like"]

Progress = Callable[[int, int], None]


def read_for(file: Path, target: Path) -> Picture:
    """The picture in ``file``.

    Raises:
        UserError: it cannot be read, or ``target`` cannot hold what it holds.
    """
    picture = read_picture(file)
    others = 0 if picture.others is None else len(picture.others)
    check_output(file, target, picture.depth, picture.alpha is not None, others)
    return picture


def restored_pixels(
    network: Callable[[Tensor], Tensor],
    backbone: Backbone,
    picture: Picture,
    tile: int,
    overlap: int,
    progress: Progress | None = None,
    tile_batch: int = 1,
) -> Tensor:
    """The colours of ``picture`` restored: ``(3, H, W)`` on the CPU, of the picture's type.

    Args:
        network: ``backbone`` made ready to restore, see :func:`~.network.ready`.
        progress: called with (tiles done, all tiles); what it raises ends the restoration.

    Raises:
        OutOfMemoryError: of the GPU.
    """
    blurry = _on_device(backbone, picture)
    with torch.inference_mode():
        restored = restore(network, blurry, tile, overlap, backbone.divisor, progress, tile_batch)
    return to_uint(restored[0].cpu(), picture.depth)


def blur_px(
    backbone: Backbone,
    picture: Picture,
    tile: int,
    overlap: int,
    progress: Progress | None = None,
    tile_batch: int = 1,
) -> Tensor:
    """The predicted radius of the circle of confusion, px, in each of three equal channels: ``(3, H, W)``, on the CPU.

    Raises:
        UserError: the network predicts none.
    """
    blurry = _on_device(backbone, picture)
    with torch.inference_mode():
        radius = restore(blur_radius(backbone), blurry, tile, overlap, backbone.divisor, progress, tile_batch)
    return radius[0].cpu()


def blend(blurry: Tensor, restored: Tensor, strength: float) -> Tensor:
    """``blurry`` at a ``strength`` of 0, ``restored`` at 1, between them the nearest levels; of their integer type."""
    if strength == 1:
        return restored
    first, last = blurry.to(torch.float64), restored.to(torch.float64)
    return (first + strength * (last - first)).round().to(torch.int32).to(blurry.dtype)


def write_like(target: Path, pixels: Tensor, picture: Picture) -> None:
    """Write ``pixels`` with the other channels, grey tone, profile and metadata of ``picture``.

    Raises:
        UserError: they cannot be written.
    """
    kept = {name: getattr(picture, name) for name in ("alpha", "grey", "icc", "others", "metadata")}
    write_image(target, pixels, **kept)


def _on_device(backbone: Backbone, picture: Picture) -> Tensor:
    return to_float(picture.image)[None].to(next(backbone.parameters()).device)
