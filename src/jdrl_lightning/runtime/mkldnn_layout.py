"""Feature maps in the layout in which oneDNN convolves on x86 processors, while a training lasts."""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

__all__ = ["MkldnnNetwork", "to_dense", "to_mkldnn", "use_mkldnn_layout"]

FROM_PIXELS = 8192  # of a whole batch; fewer are convolved faster as they are


class MkldnnNetwork(nn.Module):
    """A network whose ``forward`` begins by :func:`blocked` and ends by :func:`plain`.

    Between them come convolutions, ReLU, sums, products and pooling: other operators cannot take such tensors.
    """

    in_mkldnn_layout = False


def use_mkldnn_layout(module: nn.Module, wanted: bool = True) -> None:
    """Let the networks in ``module`` use that layout on processors, or no longer.

    It is not for all uses of a network (there are no second derivatives, no transforms of ``torch.func``, and what
    looks inside finds tensors that it cannot read), so trainings ask for it; ``torch.backends.mkldnn.enabled = False``
    has them do without. oneDNN's ReLU takes NaN for 0: a network that holds any stays plain, and shows it.
    """
    possible = wanted and platform.machine() in ("x86_64", "AMD64") and torch.backends.mkldnn.is_available()
    for network in module.modules():
        if isinstance(network, MkldnnNetwork):
            network.in_mkldnn_layout = possible and _is_finite([*network.parameters()])


def to_mkldnn(features: Tensor, network: MkldnnNetwork) -> Tensor:
    """``(B, C, H, W)`` in oneDNN's layout where ``network`` may and would gain by it, otherwise as it is.

    What is convolved from a plain tensor is copied into blocks of channels and its result back, each time, forward and
    backward (docs/performance.md says what that takes). The values are the same. Who listens to the network's layers by
    hooks is given plain tensors.
    """
    if not network.in_mkldnn_layout or torch.compiler.is_compiling():
        return features
    usable = (
        type(features) is Tensor  # not a fake one, by which memory is counted
        and features.device.type == "cpu"
        and features.dtype == torch.float32
        and features[:, 0].numel() >= FROM_PIXELS
        and torch.backends.mkldnn.enabled
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_anomaly_enabled()  # its search for NaN cannot read them
        and not any(_listened_to(layer) for layer in [*network.modules()][1:])
    )
    return features.to_mkldnn() if usable else features


def to_dense(features: Tensor, network: MkldnnNetwork) -> Tensor:
    """``features`` as PyTorch's other operators take them."""
    return features.to_dense() if network.in_mkldnn_layout and features.is_mkldnn else features


def _listened_to(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def _is_finite(weights: list[nn.Parameter]) -> bool:
    there = all(type(weight) is nn.Parameter and weight.device.type == "cpu" for weight in weights)  # not fake ones
    return there and bool(get_total_norm(weights).isfinite())
