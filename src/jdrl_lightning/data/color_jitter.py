"""Random exposure and channel order, the same for all images of a pair."""

from __future__ import annotations

import numpy as np
import torch
from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb
from torch import Tensor

from jdrl_lightning.types import Pair

__all__ = ["recolor"]

IMAGES = ("aligned", "left", "right")  # extras that are images
EXPOSURES = (0.4, 1.2)


def recolor(pair: Pair, rng: np.random.Generator) -> Pair:
    """Draw an exposure and an order of the colour channels for a single sample.

    Blur is linear in light and the same for each channel, so the result is still a valid pair. It keeps a network
    trained on few photographs from overfitting to their tones (darkening unseen skies, for example).

    Args:
        pair: uint8, uint16 or float images in sRGB.
        rng: two draws: the factor on linear light, log-uniform in [0.4, 1.2], and the permutation.
    """
    factor = float(np.exp(rng.uniform(*np.log(EXPOSURES))))
    order = torch.from_numpy(rng.permutation(3))

    def change(image: Tensor) -> Tensor:
        return _exposed(image[order], factor)

    extras = {key: change(value) if key in IMAGES else value for key, value in pair.extras.items()}
    return pair._replace(blurry=change(pair.blurry), sharp=change(pair.sharp), extras=extras)


def _exposed(image: Tensor, factor: float) -> Tensor:
    """``image`` at ``factor`` times the exposure, clamped to full scale; integers by a lookup table, rounded."""
    if image.is_floating_point():
        return linear_rgb_to_rgb((rgb_to_linear_rgb(image) * factor).clamp(0, 1))
    full = torch.iinfo(image.dtype).max
    # kornia expects three channels: the levels 0 … full, and two more that make them divisible by three.
    levels = torch.arange(full + 3, dtype=torch.float32).view(3, -1, 1)
    table = (_exposed(levels / full, factor).flatten() * full).round().to(image.dtype)
    return table[image.to(torch.int32)]
