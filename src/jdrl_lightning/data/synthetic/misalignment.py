"""Displacement of the sharp shot relative to the blurry one: zoom, shift (the paper's Fig. 5), parallax, distortion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jdrl_lightning.errors import check_choice

__all__ = ["CONVERGED_PX", "PRESETS", "Displacement", "Misalignment", "invert_at", "preset"]

CONVERGED_PX = 1e-4


@dataclass(frozen=True)
class Misalignment:
    """Ranges from which one frame's displacement is drawn; all crops of the frame share it.

    Attributes:
        zoom: largest change of scale. Focus breathing changes the focal length by a percent or two on consumer lenses,
            in proportion to the change of focus.
        shift_px: largest shift, pixels, from a motorized lens or a touched tripod.
        biased: the lens always moves the same way, so that the mean displacement over photographs is not zero. With
            zero mean, it averages out in a pixel-wise loss, at the price of blur.
        parallax_px: difference in shift between the nearest and the farthest surface, pixels, from a lens that moves
            sideways; no global registration can undo it.
        smooth_px: amplitude of a slowly varying component, pixels: distortion that changes with focus.
    """

    zoom: float = 0.0
    shift_px: float = 0.0
    biased: bool = False
    parallax_px: float = 0.0
    smooth_px: float = 0.0

    def draw(self, rng: np.random.Generator, focus: float, size: tuple[int, int]) -> Displacement:
        """Draw one frame's displacement; ``focus`` in [0, 1], far to near, is the focus of the blurry shot."""
        amount, angle, direction = rng.uniform(0.4, 1), rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi)
        waves = rng.uniform(-1, 1, size=(2, 3, 2)), rng.uniform(0, 2 * math.pi, size=(2, 3))
        axis = rng.uniform(-0.1, 0.1, size=2) * np.asarray(size[::-1])
        if self.biased:
            angle, zoom = math.radians(25) + 0.2 * (angle - math.pi) / math.pi, self.zoom * (0.4 + 0.6 * focus)
        else:
            zoom = self.zoom * (2 * focus - 1)
        return Displacement(
            zoom=zoom,
            axis=(float(axis[0]), float(axis[1])),
            shift=(self.shift_px * amount * math.cos(angle), self.shift_px * amount * math.sin(angle)),
            parallax=(self.parallax_px * math.cos(direction), self.parallax_px * math.sin(direction)),
            waves=waves[0] * 2 * math.pi * 0.75 / max(size),
            phases=waves[1],
            smooth=self.smooth_px,
        )

    def scaled(self, amplitude: float) -> Misalignment:
        """With all lengths and the zoom multiplied by ``amplitude``."""
        lengths = (amplitude * value for value in (self.zoom, self.shift_px, self.parallax_px, self.smooth_px))
        zoom, shift, parallax, smooth = lengths
        return Misalignment(zoom, shift, self.biased, parallax, smooth)


PRESETS = {
    "none": Misalignment(),
    "random": Misalignment(zoom=0.015, shift_px=5.0),
    "biased": Misalignment(zoom=0.015, shift_px=5.0, biased=True),
    "nonrigid": Misalignment(zoom=0.015, shift_px=5.0, parallax_px=3.0, smooth_px=1.0),
    # The frames of a real focus stack, 2048 px wide, against its fused picture: 8.4 px in the median, zoom −2 %, 3.5 px
    # beyond any affine motion. On frames of 256 px these ranges give 7.9 px in the median and 2.9 px beyond (rms).
    "stack": Misalignment(zoom=0.02, shift_px=10.5, parallax_px=7.0, smooth_px=5.0),
}


def preset(name: str, amplitude: float = 1.0) -> Misalignment:
    """A named misalignment.

    Raises:
        UserError: unknown name.
    """
    check_choice("data.misalignment", name, PRESETS)
    return PRESETS[name].scaled(amplitude)


@dataclass(frozen=True)
class Displacement:
    """Maps points of the blurry shot to the sharp one: ``p -> p + displacement(p)``, frame pixels."""

    zoom: float
    axis: tuple[float, float]
    shift: tuple[float, float]
    parallax: tuple[float, float]
    waves: np.ndarray  # (2, 3, 2): for dx and dy, the frequencies of three plane waves, radians per pixel
    phases: np.ndarray  # (2, 3)
    smooth: float

    def __call__(self, x: Tensor, y: Tensor, nearness: Tensor) -> Tensor:
        """``(2, H, W)`` at frame-centred coordinates, for surfaces of ``nearness`` in [0, 1] (inverse depth)."""
        parts = []
        for i, (position, axis) in enumerate(((x, self.axis[0]), (y, self.axis[1]))):
            part = self.zoom * (position - axis) + self.shift[i] + self.parallax[i] * (nearness - 0.5)
            if self.smooth:
                for (fx, fy), phase in zip(self.waves[i], self.phases[i], strict=True):
                    part = part + self.smooth / math.sqrt(3) * torch.sin(fx * x + fy * y + phase)
            parts.append(part)
        return torch.stack(parts)


def invert_at(forward: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, steps: int = 20) -> Tensor:
    """The inverse displacement ``e(q) = −forward(q + e(q))``, ``(2, H, W)``, by fixed-point iteration.

    Each step multiplies the error by the displacement's largest gradient, a few percent: five or six steps suffice.
    """
    inverse = -forward(x, y)
    for _ in range(steps):
        previous, inverse = inverse, -forward(x + inverse[0], y + inverse[1])
        if float((inverse - previous).abs().max()) < CONVERGED_PX:
            break
    return inverse
