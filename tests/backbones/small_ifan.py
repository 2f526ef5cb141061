"""A small IFAN and pairs for its training-only head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from jdrl_lightning import backbones
from jdrl_lightning.backbones import Backbone
from jdrl_lightning.types import Pair


def tiny(seed: int = 0, **settings: Any) -> Backbone:
    """With filters large enough to matter: as published they start so small that they suppress the features."""
    torch.manual_seed(seed)
    backbone = backbones.create("ifan", **{"n_filters": 3, "width": 2} | settings)
    nn.init.normal_(backbone.network.filters.bias, std=0.5)
    return backbone


def pair_of(blurry: Tensor, sharp: Tensor, **extras: Tensor) -> Pair:
    return Pair(blurry, sharp, ["a"] * len(blurry), extras)
