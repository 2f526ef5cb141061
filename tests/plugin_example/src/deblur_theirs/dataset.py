"""Random stripes, blurred, and the sharp ones a few pixels off: the pairs need no file."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d
from torch.utils.data import Dataset

from jdrl_lightning.types import Pair

FIRST = {"train": 0, "val": 1_000_000, "test": 2_000_000}


class Stripes(Dataset[Pair]):
    def __init__(self, first: int, count: int, size: int, shift: int) -> None:
        self.first, self.count, self.size, self.shift = first, count, size, shift

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pair:
        """A pure function of seed and index, as everything random here."""
        generator = torch.Generator().manual_seed(self.first + index)
        side = self.size + 2 * self.shift + 4
        scene = torch.rand(3, side // 4 + 1, side // 4 + 1, generator=generator)
        scene = scene.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, :side, :side]
        blurry = avg_pool2d(scene[None], 5, 1)[0, :, : self.size, : self.size]
        start = 2 + self.shift
        sharp = scene[:, start : start + self.size, start : start + self.size]
        return Pair(*((255 * image).round().byte() for image in (blurry, sharp)), f"{index:03d}", {})


def stripes(split: str, seed: int, crop: int | None, count: int = 4, size: int = 48, shift: int = 2) -> Stripes:
    """``split``, ``seed`` and ``crop`` are given by the framework, the rest is the yaml's."""
    return Stripes(FIRST[split] + 1000 * seed, count, size, shift)
