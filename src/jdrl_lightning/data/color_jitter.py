"""Another exposure and another order of the colours, the same for all images of a pair."""

from __future__ import annotations

import numpy as np
import torch
from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb
from torch import Tensor

from jdrl_lightning.types import Pair

__all__ = ["recolor"]

IMAGES = ("aligned", "left", "right")  # among the extras; the others are no light
EXPOSURES = (0.4, 1.2)


def recolor(pair: Pair, rng: np.random.Generator) -> Pair:
    """Draw an exposure and an order of the colour channels for a single sample.

    Blur acts on linear light and on each channel alike, so a pair stays one of a blurry and a sharp image of a scene. A
    network that has seen few photographs otherwise learns their tones: it darkens skies that it does not know.

    Args:
        pair: of uint8, uint16 or float images in sRGB.
        rng: two draws: the factor on linear light, log-uniform from 0.4 to 1.2, and the permutation.
    """
    factor = float(np.exp(rng.uniform(*np.log(EXPOSURES))))
    order = torch.from_numpy(rng.permutation(3))

    def change(image: Tensor) -> Tensor:
        return _exposed(image[order], factor)

    extras = {key: change(value) if key in IMAGES else value for key, value in pair.extras.items()}
    return pair._replace(blurry=change(pair.blurry), sharp=change(pair.sharp), extras=extras)


def _exposed(image: Tensor, factor: float) -> Tensor:
    """``image`` under ``factor`` times the light, clamped to full scale; integers by a lookup table, rounded."""
    if image.is_floating_point():
        return linear_rgb_to_rgb((rgb_to_linear_rgb(image) * factor).clamp(0, 1))
    full = torch.iinfo(image.dtype).max
    # kornia takes three channels: 0 … full, split in three, and two values more to make that come out even.
    levels = torch.arange(full + 3, dtype=torch.float32).view(3, -1, 1)
    table = (_exposed(levels / full, factor).flatten() * full).round().to(image.dtype)
    return table[image.to(torch.int32)]
