"""Feature maps in the layout in which oneDNN convolves on x86 processors."""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn

__all__ = ["blocked"]

FROM_PIXELS = 8192  # smaller images' few channels are faster as they are


def blocked(features: Tensor, network: nn.Module) -> Tensor:
    """``features`` in oneDNN's own layout where that makes ``network`` faster, otherwise as they are.

    What is convolved from a plain tensor is copied into blocks of 16 channels and its result back, each time, forward
    and backward: 5 to 30 % of the time of a stack of convolutions. The values are the same. Convolutions, ReLU, sums,
    products and pooling take such tensors, and ``to_dense()`` ends either form. Who listens to the network's layers by
    hooks is given plain ones.

    Args:
        features: ``(B, C, H, W)``.
        network: whose ``forward`` asks.
    """
    batch, _, height, width = features.shape
    usable = (
        type(features) is Tensor  # not a fake one, as exports and counts make them
        and features.device.type == "cpu"
        and features.dtype == torch.float32
        and batch * height * width >= FROM_PIXELS
        and next(network.parameters()).is_contiguous()  # channels last, nothing is copied
        and platform.machine() in ("x86_64", "AMD64")
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.is_anomaly_enabled()  # its search for NaN cannot read them
        and not any(layer._forward_hooks or layer._forward_pre_hooks for layer in [*network.modules()][1:])
    )
    return features.to_mkldnn() if usable else features
