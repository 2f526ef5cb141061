"""Data set of rendered pairs: every frame is a pure function of (seed, index), rendered once and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from kornia.color import rgb_to_linear_rgb
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.data.synthetic.compiled import compiled_for
from jdrl_lightning.data.synthetic.misalignment import Misalignment
from jdrl_lightning.data.synthetic.photographs import Photograph
from jdrl_lightning.data.synthetic.render import MASTER, Optics, render
from jdrl_lightning.flow.gauss_newton import smooth
from jdrl_lightning.types import Pair

__all__ = ["RenderedPairs"]

KEPT = 48  # photographs in memory at most; a large one takes 20 MB
WHICH_CAMERA = 6  # a frame's stream of random numbers beside those of render
SOFTNESS_PX = 0.6  # σ in master pixels: a third of a frame pixel


class RenderedPairs(Dataset[Pair]):
    """``frames_per_photo`` frames of each photograph; a frame's crops share its scene, blur and misalignment.

    Args:
        photographs: of one split; used as backgrounds and as textures of cut-outs.
        seed: seed of all random choices.
        frames_per_photo: frames of each photograph, with different regions, cut-outs, focus and misalignment.
        frame: longest side of a frame, px; a photograph smaller than twice that gives a frame of half its size.
        optics: the cameras; each frame is taken with one of them, drawn evenly.
        misalignment: ranges of the displacement between the shots.

    Attributes:
        device: renders; frames are returned in main memory.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        seed: int,
        frames_per_photo: int = 1,
        frame: int = 256,
        optics: Sequence[Optics] = (Optics(),),
        misalignment: Misalignment = Misalignment(),  # noqa: B008  (frozen)
    ) -> None:
        self.photographs, self.seed, self.frames_per_photo = list(photographs), seed, frames_per_photo
        self.frame, self.optics, self.misalignment = frame, tuple(optics), misalignment
        self.device = torch.device("cpu")
        self._pixels = _Pixels(self.photographs)
        self._pairs: dict[int, Pair] = {}

    def __len__(self) -> int:
        return len(self.photographs) * self.frames_per_photo

    def __getitem__(self, index: int) -> Pair:
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index not in self._pairs:
            self._pairs[index] = self.render(index)
        return self._pairs[index]

    def render(self, index: int, epoch: int = 0) -> Pair:
        """Render frame ``index``, without the cache; a later ``epoch`` has other frames of the same photographs."""
        variant, which = divmod(index, len(self.photographs))
        variant += epoch * self.frames_per_photo
        photograph = self.photographs[which]
        photos = self._pixels.on(self.device)
        pixels = photos[which]
        size = tuple(min(self.frame, side // MASTER) for side in pixels.shape[-2:])
        key = (self.seed, photograph.key, variant)
        name = f"{photograph.name}_{variant}"
        optics = self.optics[int(np.random.default_rng((*key, WHICH_CAMERA)).integers(len(self.optics)))]
        # As a context a device costs some microseconds a call of torch, which the processor need not pay.
        with nullcontext() if self.device.type == "cpu" else self.device:
            pair = render(key, pixels, photos, (size[0], size[1]), optics, self.misalignment, name)
        extras = {key: value.cpu() for key, value in pair.extras.items()}
        return Pair(pair.blurry.cpu(), pair.sharp.cpu(), pair.name, extras)

    def prerender(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Render all frames now, before loader workers are forked, which would each render them again."""
        for index in range(len(self)):
            self[index]
            if progress is not None:
                progress(index + 1, len(self))
        self._pixels.kept.clear()

    def load(self) -> None:
        """Make ready in this process what forked ones then share: photographs in memory, compiled code."""
        compiled_for(torch.empty(0, device=self.device))
        for which in range(min(len(self.photographs), KEPT)):
            self._pixels[which]


class _Pixels(Sequence[Tensor]):
    """The photographs in linear light, loaded on demand.

    The first ``KEPT`` stay in memory: frames visit the photographs in a cycle, for which a cache of the most recently
    used ones never hits if it is too small.
    """

    def __init__(self, photographs: Sequence[Photograph]) -> None:
        self.photographs = photographs
        self.device = torch.device("cpu")
        self.kept: dict[int, Tensor] = {}

    def on(self, device: torch.device) -> _Pixels:
        """The same, on a device."""
        if device != self.device:
            self.device = device
            self.kept = {which: pixels.to(device) for which, pixels in self.kept.items()}
        return self

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, which: int) -> Tensor:  # type: ignore[override]
        if which in self.kept:
            return self.kept[which]
        # Interpolation attenuates detail near the master's Nyquist limit only in the displaced shot: remove it.
        pixels = rgb_to_linear_rgb(smooth(self.photographs[which].load()[None].to(self.device), SOFTNESS_PX)[0])
        if len(self.kept) < KEPT:
            self.kept[which] = pixels
        return pixels
