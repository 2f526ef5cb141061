"""Another exposure and another order of the colours, the same for all images of a pair."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from jdrl_lightning.data.srgb import linear, srgb
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
    """``image`` as it were with ``factor`` times the light; integers by a table, to the nearest."""
    if image.is_floating_point():
        return srgb(linear(image) * factor)
    full = torch.iinfo(image.dtype).max
    table = srgb(linear(torch.arange(full + 1, dtype=torch.float32) / full) * factor)
    return (table * full).round().to(image.dtype)[image.to(torch.int32)]
