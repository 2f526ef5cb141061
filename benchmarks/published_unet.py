"""The U-Net's forward pass layer by layer, as published (the reference): stores upsampled and concatenated features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.backbones.unet import UNet

__all__ = ["published_forward"]


def published_forward(network: UNet, blurry: Tensor) -> Tensor:
    """``network(blurry)``."""
    features = network.encoder["block1"](blurry)
    skips = []
    for level in range(2, 6):
        skips.append(features)
        features = network.encoder[f"block{level}"](F.max_pool2d(features, 2))
        if level >= 4:
            features = network.dropout(features)
    for level, skip in zip(range(6, 10), reversed(skips), strict=True):
        enlarge, convolution = getattr(network, f"up{level}")
        up = convolution(F.pad(enlarge(features), (0, 1, 0, 1)))
        up = up.relu() if network.relu_after_up else up
        joined = [skip, up] if network.skip_first else [up, skip]
        features = getattr(network, f"block{level}")(torch.cat(joined, dim=1))
    output = network.out(features)
    return blurry + output if network.global_residual else torch.sigmoid(output)
