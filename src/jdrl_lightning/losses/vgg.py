"""VGG19 features from a local weight file; nothing is ever downloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import read_weights

__all__ = ["CHANNELS", "VggFeatures"]

FILE = "vgg19-dcbb9e9d.pth"  # torchvision's VGG19_Weights.IMAGENET1K_V1
# Layer numbers in torchvision's file; max pooling between blocks.
BLOCKS = ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28, 30, 32, 34))
CHANNELS = (64, 128, 256, 512, 512)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VggFeatures:
    """The last convolution of each block of VGG19, after its ReLU: ``conv1_2``, ``2_2``, ``3_4``, ``4_4``, ``5_4``.

    Deliberately not an ``nn.Module``: the frozen network stays out of checkpoints, DDP's buckets and the optimiser. It
    moves to its input's device when called.

    Args:
        path: torchvision's VGG19 ImageNet weights.
        blocks: how many to compute, 1 to 5.

    Raises:
        UserError: the file is missing or contains other weights.
    """

    def __init__(self, path: str | os.PathLike[str], blocks: int = 3) -> None:
        remedy = f"download torchvision's VGG19 ImageNet weights (file {FILE}) and set their path"
        if not Path(path).is_file():
            raise UserError(f"VGG19 weights {path} do not exist: {remedy}; null uses image patches instead")
        state = read_weights(Path(path))
        self.blocks = BLOCKS[:blocks]
        numbers = [number for block in self.blocks for number in block]
        wanted = [f"features.{number}.{part}" for number in numbers for part in ("weight", "bias")]
        if not isinstance(state, dict) or any(not isinstance(state.get(key), Tensor) for key in wanted):
            raise UserError(f"VGG19 weights {path} are not VGG19 weights: {remedy}")
        self.parameters = {key: state[key].detach().float() for key in wanted}

    def __call__(self, image: Tensor) -> Tensor:
        """The last block's features as a set, ``(B, N, C)``: of three blocks 256 channels, one feature every 4 px.

        That is the layer used with the contextual loss by Mechrez et al., ACCV 2018.
        """
        return self.maps(image)[-1].flatten(2).transpose(1, 2)

    def maps(self, image: Tensor) -> list[Tensor]:
        """Maps of each block, float32, of RGB images ``(B, 3, H, W)`` in [0, 1]; differentiable.

        Returns:
            ``(B, 64, H, W)``, ``(B, 128, H//2, W//2)``, ``(B, 256, H//4, W//4)`` and so on.
        """
        self.parameters = {key: value.to(image.device) for key, value in self.parameters.items()}
        found: list[Tensor] = []
        with torch.autocast(image.device.type, enabled=False):
            mean, std = (image.new_tensor(values, dtype=torch.float32).view(1, 3, 1, 1) for values in (MEAN, STD))
            features = (image.float() - mean) / std
            for number, block in enumerate(self.blocks):
                features = F.max_pool2d(features, 2) if number else features
                for layer in block:
                    weight, bias = (self.parameters[f"features.{layer}.{part}"] for part in ("weight", "bias"))
                    features = F.relu(F.conv2d(features, weight, bias, padding=1))
                found.append(features)
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> VggFeatures:
        """Itself: a model average does not need a second copy of frozen weights."""
        return self
