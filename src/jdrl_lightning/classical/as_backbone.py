"""A classical method in a network's place: restores, predicts the blur, is tiled like any backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.classical.methods import MapDeblurring, ebdb, jnb
from jdrl_lightning.errors import check_choice
from jdrl_lightning.types import Restored

__all__ = ["UNTRAINED", "as_backbone"]

UNTRAINED = {"ebdb": ebdb, "jnb": jnb}  # methods that need no weights


class _MapThenDeconvolution(nn.Module):
    def __init__(self, method: MapDeblurring) -> None:
        super().__init__()
        self.method = method
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # holds nothing, but knows the device

    def forward(self, blurry: Tensor) -> Restored:
        radius = self.method.defocus_map(blurry)
        return Restored((self.method.deconvolution(blurry, radius),), {"coc": radius})


def as_backbone(name: str) -> Backbone:
    """``ebdb`` or ``jnb``: :class:`.MapDeblurring`, with the radius of its map, px, as ``aux["coc"]``.

    Raises:
        UserError: another name.
    """
    check_choice("method", name, UNTRAINED)
    return Backbone(_MapThenDeconvolution(UNTRAINED[name]()), divisor=1, licence="Apache-2.0", name=name)
