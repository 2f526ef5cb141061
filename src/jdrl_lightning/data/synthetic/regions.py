"""Rectangles of the master image, to compute only what a frame needs."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Box", "areas", "axes", "coordinates", "cut", "smooth_size"]


class Box(NamedTuple):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, exclusive, relative to the frame's centre."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def centred(cls, height: int, width: int) -> Box:
        """``height × width`` around the frame's centre."""
        return cls(-(height // 2), -(width // 2), height - height // 2, width - width // 2)

    @property
    def height(self) -> int:
        return max(0, self.bottom - self.top)

    @property
    def width(self) -> int:
        return max(0, self.right - self.left)

    @property
    def empty(self) -> bool:
        return not (self.height and self.width)

    def grown(self, reach: int) -> Box:
        """Extended by ``reach`` on every side."""
        return Box(self.top - reach, self.left - reach, self.bottom + reach, self.right + reach)

    def common(self, other: Box) -> Box:
        """The intersection; ``empty`` if there is none."""
        return Box(*(max(a, b) for a, b in zip(self[:2], other[:2], strict=True)),
                   *(min(a, b) for a, b in zip(self[2:], other[2:], strict=True)))  # fmt: skip

    def of(self, image: Tensor, extent: Box) -> Tensor:
        """View of this part of an ``image`` ``(…, H, W)`` that covers ``extent``."""
        top, left = self.top - extent.top, self.left - extent.left
        return image[..., top : top + self.height, left : left + self.width]


def cut(image: Tensor, extent: Box, wanted: Box) -> Tensor:
    """The part ``wanted`` of an image ``(C, H, W)`` that covers ``extent``, zero-padded outside it."""
    common = wanted.common(extent)
    if common.empty:
        return image.new_zeros(len(image), wanted.height, wanted.width)
    left, top = common.left - wanted.left, common.top - wanted.top
    right, bottom = wanted.right - common.right, wanted.bottom - common.bottom
    return F.pad(common.of(image, extent), (left, right, top, bottom))


def areas(image: Tensor, scale: int) -> Tensor:
    """``(C, H / scale, W / scale)``: the mean of each ``scale × scale`` pixels; quicker than ``avg_pool2d``."""
    parts = [image[:, row::scale, column::scale] for row in range(scale) for column in range(scale)]
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total.div_(scale * scale)


def axes(box: Box, scale: int, step: int = 1) -> tuple[Tensor, Tensor]:
    """x ``(1, W)`` and y ``(H, 1)`` of a box's pixels from the frame's centre, frame pixels of ``scale`` master pixels.

    With ``step`` those of the centres of ``step × step`` blocks, ``W // step`` and ``H // step``.
    """
    y = ((torch.arange(box.top, box.bottom, step) + step / 2) / scale)[:, None]
    x = ((torch.arange(box.left, box.right, step) + step / 2) / scale)[None]
    return x, y


def coordinates(box: Box, scale: int) -> tuple[Tensor, Tensor]:
    """The same, each ``(H, W)``."""
    x, y = torch.broadcast_tensors(*axes(box, scale))
    return x, y


def smooth_size(length: int) -> int:
    """The smallest size of at least ``length`` with no prime factor above 5, for which the FFT is fast."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
