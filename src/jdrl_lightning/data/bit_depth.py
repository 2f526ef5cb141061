"""Pairs of 16 bits as code sees them that reads pictures at 8 bits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.types import Pair

__all__ = ["EightBit", "high_byte"]


class EightBit(Dataset[Pair]):
    """The same pairs with the high byte of each image, extras included; what has 8 bits already stays as it is.

    Attributes:
        has_sharp: whether there are sharp images.
    """

    def __init__(self, pairs: Dataset[Pair]) -> None:
        self.pairs = pairs
        self.has_sharp = getattr(pairs, "has_sharp", True)

    def __len__(self) -> int:
        return len(self.pairs)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Pair:
        blurry, sharp, name, extras = self.pairs[index]
        return Pair(high_byte(blurry), high_byte(sharp), name, {key: high_byte(value) for key, value in extras.items()})


def high_byte(image: Tensor) -> Tensor:
    """``value >> 8`` of ``uint16``, as ``uint8``; other images pass unchanged.

    It is what OpenCV and Pillow read of a 16-bit file unless told otherwise, and with them the code behind most figures
    on DPDD. It is not the nearest level, ``round(value / 257)``: a quarter of all values are off by one, down in the
    dark half and up in the bright one. A view, so that of a memory-mapped picture no more is read than is used.
    """
    return image.view(torch.uint8)[..., 1::2] if image.dtype == torch.uint16 else image  # little-endian
