"""Loads DMENet's weights from PyTorch, safetensors or TensorLayer npz files. Files are not trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from jdrl_lightning.classical.dmenet import DMENet
from jdrl_lightning.io.tensorflow_weights import read_tensorlayer
from jdrl_lightning.io.weights import fill, read_weights, unwrap

__all__ = ["load_dmenet"]

COUNTER = "num_batches_tracked"  # not in TensorLayer files; has no effect


def load_dmenet(network: DMENet, file: Path) -> None:
    """Load all weights of ``network``; if a tensor is missing or does not fit, nothing is changed.

    The published weights are a TensorLayer list of arrays, assumed to be in the order in which the layers run, the
    shortcut of a residual unit first and the auxiliary heads last. This follows from how such files are written; it has
    not been verified on a published file. Every shape is checked.

    Raises:
        UserError: the file is missing, unreadable, contains pickled code, or does not fit; the message says where.
    """
    state = read_tensorlayer(file, _InTensorLayersOrder(network))
    if state is None:
        state = unwrap(read_weights(file), file)[1]
    else:
        state |= {key: value for key, value in network.state_dict().items() if key.endswith(COUNTER)}
    fill(network, state, f"weights {file} do not fit dmenet with this width")


class _InTensorLayersOrder(nn.Module):
    """View of a network whose state dict is in TensorLayer's order: normalisation layers have the offset first."""

    def __init__(self, network: DMENet) -> None:
        super().__init__()
        self.network = network

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # type: ignore[override]
        state = self.network.state_dict()
        order = {nn.Conv2d: ("weight", "bias"), nn.BatchNorm2d: ("bias", "weight", "running_mean", "running_var")}
        layers = self.network.named_modules()
        keys = [f"{name}.{key}" for name, layer in layers for key in order.get(type(layer), ())]
        return {key: state[key] for key in keys}
