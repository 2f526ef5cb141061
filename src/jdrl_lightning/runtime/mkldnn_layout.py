"""Feature maps in oneDNN's own memory layout during training on x86 CPUs."""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

__all__ = ["MkldnnNetwork", "to_dense", "to_mkldnn", "use_mkldnn_layout"]

MIN_PIXELS = 8192  # of the whole batch; below, converting costs more than it saves


class MkldnnNetwork(nn.Module):
    """A network whose ``forward`` starts with :func:`to_mkldnn` and ends with :func:`to_dense`.

    In between it may use convolutions, ReLU, sums, products and pooling; no other operator accepts such tensors.
    """

    in_mkldnn_layout = False


def use_mkldnn_layout(module: nn.Module, wanted: bool = True) -> None:
    """Switch the layout on or off for every :class:`MkldnnNetwork` in ``module``.

    Off by default, because it rules out second derivatives and the transforms of ``torch.func``; training switches it
    on, and ``use_mkldnn_layout(module, False)`` in a callback's ``on_train_start`` switches it off again. oneDNN's ReLU
    turns NaN into 0, so a network with non-finite parameters keeps the default layout, in which NaN reaches the output.
    """
    possible = wanted and platform.machine() in ("x86_64", "AMD64") and torch.backends.mkldnn.is_available()
    for network in module.modules():
        if isinstance(network, MkldnnNetwork):
            network.in_mkldnn_layout = possible and _is_finite([*network.parameters()])


def to_mkldnn(features: Tensor, network: MkldnnNetwork) -> Tensor:
    """``features``, ``(B, C, H, W)``, in oneDNN's layout if ``network`` is switched to it and it applies; else as is.

    Convolutions copy a tensor in the default layout into blocks of channels and the result back, every time, forward
    and backward (figures: docs/performance.md); tensors in this layout stay blocked, with the same values. If a layer
    of the network has hooks, the default layout is kept, since hooks cannot read blocked tensors.
    """
    if not network.in_mkldnn_layout or torch.compiler.is_compiling():
        return features
    applies = (
        type(features) is Tensor  # not a fake tensor, with which memory is counted
        and features.device.type == "cpu"
        and features.dtype == torch.float32
        and features[:, 0].numel() >= MIN_PIXELS
        and torch.backends.mkldnn.enabled
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_anomaly_enabled()  # its NaN check cannot read blocked tensors
        and not any(_has_hooks(layer) for layer in [*network.modules()][1:])
    )
    return features.to_mkldnn() if applies else features


def to_dense(features: Tensor, network: MkldnnNetwork) -> Tensor:
    """``features`` in the default layout, for every other operator."""
    return features.to_dense() if network.in_mkldnn_layout and features.is_mkldnn else features


def _has_hooks(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def _is_finite(parameters: list[nn.Parameter]) -> bool:
    """Whether all are finite CPU parameters; False for fake ones, which have no values."""
    real = all(type(parameter) is nn.Parameter and parameter.device.type == "cpu" for parameter in parameters)
    return real and bool(get_total_norm(parameters).isfinite())
